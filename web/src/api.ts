// The server's HTTP interface, as this page uses it.
import { eventData } from './sse';
import type { Message, Settings, ToolCall } from './types';

export interface ServedModel {
  id: string;
  context: number;
  /** The model that this adapter is for. */
  parent?: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = '',
  ) {
    super(message);
  }
}

const kKeyName = 'kinglet.apiKey';

export const apiKey = {
  get: (): string => sessionStorage.getItem(kKeyName) ?? localStorage.getItem(kKeyName) ?? '',
  set(key: string, remember: boolean): void {
    sessionStorage.removeItem(kKeyName);
    localStorage.removeItem(kKeyName);
    if (key !== '') (remember ? localStorage : sessionStorage).setItem(kKeyName, key);
  },
  remembered: (): boolean => localStorage.getItem(kKeyName) !== null,
};

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const key = apiKey.get();
  if (key !== '') headers.set('Authorization', `Bearer ${key}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, cache: 'no-store', credentials: 'same-origin' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The server cannot be reached.');
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  try {
    const { error } = JSON.parse(text) as { error: { message: string; code?: string | null } };
    return new ApiError(response.status, error.message, error.code ?? '');
  } catch {
    return new ApiError(response.status, `The server answered with status ${response.status}.`);
  }
}

export async function listModels(): Promise<ServedModel[]> {
  const { data } = (await (await call('v1/models')).json()) as {
    data: { id: string; context_length?: number; max_model_len?: number; parent?: string | null }[];
  };
  return data.map((model) => ({
    id: model.id,
    context: model.context_length ?? model.max_model_len ?? 0,
    ...(model.parent ? { parent: model.parent } : {}),
  }));
}

export interface ServerState {
  healthy: boolean;
  memory: { use: string; bytes: number }[];
  running: number;
  waiting: number;
  keyValueBytes: number;
  promptTokens: number;
  cachedTokens: number;
  answerTokens: number;
}

/** Reads what this page shows out of a page of Prometheus metrics. */
export function parseMetrics(text: string): Omit<ServerState, 'healthy'> {
  const memory: { use: string; bytes: number }[] = [];
  const sums = new Map<string, number>();
  for (const line of text.split('\n')) {
    const parts = /^kinglet_([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!parts) continue;
    const [, name, labels = '', number] = parts;
    const value = Number(number);
    if (name === 'memory_bytes') memory.push({ use: /use="([^"]*)"/.exec(labels)?.[1] ?? '', bytes: value });
    else sums.set(name!, (sums.get(name!) ?? 0) + value);
  }
  const sum = (name: string): number => sums.get(name) ?? 0;
  return {
    memory,
    running: sum('answers_running'),
    waiting: sum('requests_waiting'),
    keyValueBytes: sum('key_value_bytes'),
    promptTokens: sum('prompt_tokens_total'),
    cachedTokens: sum('cached_tokens_total'),
    answerTokens: sum('answer_tokens_total'),
  };
}

export async function serverState(): Promise<ServerState> {
  const health = await fetch('health', { cache: 'no-store' }).catch(() => undefined);
  if (!health) throw new ApiError(0, 'The server cannot be reached.');
  return { healthy: health.ok, ...parseMetrics(await (await call('metrics')).text()) };
}

function numbersOf(settings: Settings): Record<string, number> {
  const all: [string, number | undefined][] = [
    ['temperature', settings.temperature],
    ['top_p', settings.topP],
    ['top_k', settings.topK],
    ['min_p', settings.minP],
    ['repetition_penalty', settings.repetitionPenalty],
    ['presence_penalty', settings.presencePenalty],
    ['frequency_penalty', settings.frequencyPenalty],
    ['max_tokens', settings.maxTokens],
    ['seed', settings.seed],
  ];
  return Object.fromEntries(all.filter((entry): entry is [string, number] => entry[1] !== undefined));
}

function wireMessage(message: Message): Record<string, unknown> {
  const wire: Record<string, unknown> = { role: message.role, content: message.content };
  if (message.role === 'tool') wire.tool_call_id = message.toolCallId ?? '';
  if (message.toolCalls && message.toolCalls.length > 0) {
    wire.tool_calls = message.toolCalls.map((one) => ({
      id: one.id,
      type: 'function',
      function: { name: one.name, arguments: one.arguments },
    }));
  }
  return wire;
}

/** The body of a request for a chat answer. Throws a SyntaxError where the schema or the tools are no JSON. */
export function chatBody(settings: Settings, path: Message[]): Record<string, unknown> {
  const body: Record<string, unknown> = { ...numbersOf(settings), stream: true, stream_options: { include_usage: true } };
  if (settings.model !== '') body.model = settings.model;
  const messages = path.map(wireMessage);
  if (settings.system.trim() !== '') messages.unshift({ role: 'system', content: settings.system });
  body.messages = messages;
  const stops = settings.stop.split('\n').filter((line) => line !== '');
  if (stops.length > 0) body.stop = stops;
  if (settings.tools.trim() !== '') body.tools = parseNamed(settings.tools, 'The tools are');
  if (settings.format === 'json_object') body.response_format = { type: 'json_object' };
  if (settings.format === 'json_schema') {
    const schema = parseNamed(settings.schema, 'The schema is');
    body.response_format = { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } };
  }
  return body;
}

function parseNamed(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`${what} not JSON: ${(error as Error).message}`);
  }
}

export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  answerTokens: number;
}

/** One step of an answer: what came in addition. */
export interface AnswerDelta {
  content?: string;
  reasoning?: string;
  toolCalls?: { index: number; id?: string; name?: string; arguments?: string }[];
  finish?: string;
  usage?: Usage;
}

interface WireChunk {
  error?: { message: string; code?: string | null };
  choices?: {
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      reasoning?: string | null;
      tool_calls?: { index: number; id?: string; function?: { name?: string; arguments?: string } }[];
    };
    finish_reason?: string | null;
  }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  } | null;
}

function deltaOf(chunk: WireChunk): AnswerDelta {
  const out: AnswerDelta = {};
  const choice = chunk.choices?.[0];
  if (choice?.delta?.content) out.content = choice.delta.content;
  const reasoning = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning;
  if (reasoning) out.reasoning = reasoning;
  if (choice?.delta?.tool_calls) {
    out.toolCalls = choice.delta.tool_calls.map((one) => ({ index: one.index, id: one.id, ...one.function }));
  }
  if (choice?.finish_reason) out.finish = choice.finish_reason;
  if (chunk.usage) {
    out.usage = {
      promptTokens: chunk.usage.prompt_tokens,
      cachedTokens: chunk.usage.prompt_tokens_details?.cached_tokens ?? 0,
      answerTokens: chunk.usage.completion_tokens,
    };
  }
  return out;
}

/**
 * Asks for an answer and yields it as it comes. `conversation` goes along in a header, so that a proxy before several
 * servers can send a conversation to the one that has evaluated its beginning.
 */
export async function* streamAnswer(
  body: Record<string, unknown>,
  conversation: string,
  signal: AbortSignal,
): AsyncGenerator<AnswerDelta> {
  const response = await call('v1/chat/completions', {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', 'X-Conversation-Id': conversation },
    signal,
  });
  if (!response.body) throw new ApiError(0, 'The server sent no answer.');
  for await (const data of eventData(response.body)) {
    if (data === '[DONE]') return;
    const chunk = JSON.parse(data) as WireChunk;
    if (chunk.error) throw new ApiError(500, chunk.error.message, chunk.error.code ?? '');
    yield deltaOf(chunk);
  }
  throw new ApiError(0, 'The connection ended before the answer did.');
}

/** Adds the pieces of tool calls to those that are there. */
export function mergeToolCalls(calls: ToolCall[], pieces: NonNullable<AnswerDelta['toolCalls']>): ToolCall[] {
  const out = [...calls];
  for (const piece of pieces) {
    const old = out[piece.index] ?? { id: '', name: '', arguments: '' };
    out[piece.index] = {
      id: piece.id ?? old.id,
      name: old.name + (piece.name ?? ''),
      arguments: old.arguments + (piece.arguments ?? ''),
    };
  }
  return out;
}
