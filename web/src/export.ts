// Conversations as files, and back.
import { answerParts } from './answer_parts';
import { newId, shownPath } from './tree';
import { defaultSettings, type Conversation, type Message } from './types';

const kFormat = 'kinglet-conversations';

export function toJson(conversations: Conversation[]): string {
  return `${JSON.stringify({ format: kFormat, version: 1, conversations }, null, 2)}\n`;
}

/** The path that is shown, as Markdown. */
export function toMarkdown(conversation: Conversation): string {
  const parts = [`# ${conversation.title === '' ? 'Conversation' : conversation.title}\n`];
  if (conversation.settings.system.trim() !== '') parts.push(`**System**\n\n${conversation.settings.system.trim()}\n`);
  for (const message of shownPath(conversation)) parts.push(messageMarkdown(message));
  return parts.join('\n');
}

function messageMarkdown(message: Message): string {
  if (message.role === 'user') return `**You**\n\n${message.content.trim()}\n`;
  if (message.role === 'tool') return `**Tool result**\n\n${fenced(message.content, '')}\n`;
  const { reasoning, text, toolCalls } = answerParts(message);
  const out = [`**${message.model ?? 'Assistant'}**\n`];
  if (reasoning !== '') out.push(`<details><summary>Thinking</summary>\n\n${reasoning}\n\n</details>\n`);
  if (text.trim() !== '') out.push(`${text.trim()}\n`);
  for (const call of toolCalls) out.push(`Calls \`${call.name}\`:\n\n${fenced(call.arguments, 'json')}\n`);
  return out.join('\n');
}

// A fence longer than any inside.
function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((found) => found[0].length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text.trim()}\n${fence}`;
}

/** Reads what toJson() wrote. Each conversation gets an id of its own, so that nothing is overwritten. Throws an Error for other files. */
export function fromJson(text: string): Conversation[] {
  let file: { format?: unknown; conversations?: unknown };
  try {
    file = JSON.parse(text) as typeof file;
  } catch {
    throw new Error('This file is not JSON.');
  }
  if (file.format !== kFormat || !Array.isArray(file.conversations)) {
    throw new Error('This file holds no conversations of Kinglet.');
  }
  return file.conversations.map(checked);
}

function checked(one: Partial<Conversation>): Conversation {
  const now = Date.now();
  const messages: Record<string, Message> = {};
  for (const message of Object.values(one.messages ?? {})) {
    const good = typeof message.id === 'string' && typeof message.content === 'string' &&
      (message.parent === null || typeof message.parent === 'string') &&
      ['user', 'assistant', 'tool'].includes(message.role);
    if (!good) throw new Error('A message in this file is damaged.');
    messages[message.id] = { ...message, created: Number(message.created) || now };
  }
  const head = typeof one.head === 'string' && messages[one.head] ? one.head : null;
  return {
    id: newId(),
    title: String(one.title ?? ''),
    created: Number(one.created) || now,
    updated: Number(one.updated) || now,
    messages,
    head,
    settings: { ...defaultSettings, ...one.settings },
  };
}

export function download(name: string, type: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function fileName(title: string, ending: string): string {
  const plain = title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 50);
  return `${plain === '' ? 'conversation' : plain}.${ending}`;
}
