// What a conversation is: a tree of messages, of which one path is shown.

export type Role = 'user' | 'assistant' | 'tool';

export interface ToolCall {
  id: string;
  name: string;
  /** JSON as text, as the API has it. */
  arguments: string;
}

/** What an answer cost. */
export interface AnswerStats {
  promptTokens: number;
  cachedTokens: number;
  answerTokens: number;
  /** Seconds from the request to the first token, and to the end. */
  firstToken: number;
  seconds: number;
}

export interface Message {
  id: string;
  parent: string | null;
  role: Role;
  content: string;
  created: number;
  reasoning?: string;
  toolCalls?: ToolCall[];
  /** Of role "tool": which call this answers. */
  toolCallId?: string;
  model?: string;
  /** As the API has it, or "stopped" (by the user). Absent while the answer is being written, or where it was cut off. */
  finish?: string;
  error?: string;
  stats?: AnswerStats;
}

export type AnswerFormat = 'text' | 'json_object' | 'json_schema';

/** Absent numbers are left out of requests: the server's defaults hold. */
export interface Settings {
  model: string;
  system: string;
  temperature?: number;
  topP?: number;
  topK?: number;
  minP?: number;
  repetitionPenalty?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  maxTokens?: number;
  seed?: number;
  /** One stop text a line. */
  stop: string;
  /** A JSON array as the API has it, as text; empty: none. */
  tools: string;
  format: AnswerFormat;
  schema: string;
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  messages: Record<string, Message>;
  /** The last message of the path that is shown. */
  head: string | null;
  settings: Settings;
}

export const defaultSettings: Settings = {
  model: '',
  system: '',
  temperature: 0.7,
  topP: 0.95,
  minP: 0.05,
  stop: '',
  tools: '',
  format: 'text',
  schema: '',
};
