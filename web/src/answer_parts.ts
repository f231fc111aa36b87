// What an answer is made of where the server leaves its marks in the text: <think>…</think> and <tool_call>…</tool_call>.
import type { Message, ToolCall } from './types';

export interface AnswerParts {
  reasoning: string;
  /** The thinking has not ended yet. */
  thinking: boolean;
  text: string;
  toolCalls: ToolCall[];
}

export function answerParts(message: Pick<Message, 'content' | 'reasoning' | 'toolCalls'>): AnswerParts {
  let text = message.content;
  let reasoning = message.reasoning ?? '';
  let thinking = reasoning !== '' && text === '';
  const marked = /^\s*<think>([\s\S]*?)(<\/think>|$)/.exec(text);
  if (marked) {
    reasoning += marked[1]!.trim();
    thinking = marked[2] === '';
    text = text.slice(marked[0].length);
  }
  const toolCalls = [...(message.toolCalls ?? [])];
  text = text.replace(/<tool_call>\s*([\s\S]*?)\s*(?:<\/tool_call>|$)/g, (_, call: string) => {
    toolCalls.push(callOf(call, toolCalls.length));
    return '';
  });
  return { reasoning, thinking, text: text.trimStart(), toolCalls };
}

function callOf(text: string, index: number): ToolCall {
  try {
    const call = JSON.parse(text) as { name?: unknown; arguments?: unknown };
    return { id: `call_${index}`, name: String(call.name ?? ''), arguments: JSON.stringify(call.arguments ?? {}) };
  } catch {
    return { id: `call_${index}`, name: '', arguments: text };
  }
}
