// JSON Schema on one side, what the model makes of it on the other.
import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import * as api from '../api';
import * as state from '../state';
import { defaultSettings } from '../types';
import { Icon } from './icons';
import { JsonView } from './markdown_view';
import { jsonError } from './settings_dialog';

const examples: { name: string; prompt: string; schema: unknown }[] = [
  {
    name: 'A recipe',
    prompt: 'A recipe for pancakes.',
    schema: {
      type: 'object',
      properties: {
        name: { type: 'string', maxLength: 60 },
        servings: { type: 'integer', minimum: 1, maximum: 12 },
        ingredients: {
          type: 'array',
          minItems: 3,
          maxItems: 8,
          items: {
            type: 'object',
            properties: {
              name: { type: 'string', maxLength: 40 },
              amount: { type: 'number' },
              unit: { enum: ['g', 'ml', 'piece', 'spoon'] },
            },
            required: ['name', 'amount', 'unit'],
            additionalProperties: false,
          },
        },
        vegetarian: { type: 'boolean' },
      },
      required: ['name', 'servings', 'ingredients', 'vegetarian'],
      additionalProperties: false,
    },
  },
  {
    name: 'An event from a mail',
    prompt: 'Hi! Shall we meet on 3 May 2027 at half past two at the botanical garden, with Ana and Tom? Best, Lea',
    schema: {
      type: 'object',
      properties: {
        what: { type: 'string', maxLength: 80 },
        day: { type: 'string', format: 'date' },
        time: { type: 'string', pattern: '^[0-2][0-9]:[0-5][0-9]$' },
        place: { type: 'string', maxLength: 60 },
        people: { type: 'array', items: { type: 'string', maxLength: 30 }, maxItems: 8 },
      },
      required: ['what', 'day', 'time', 'place', 'people'],
      additionalProperties: false,
    },
  },
  {
    name: 'A judgement',
    prompt: 'The battery lasts two days, but the screen broke in the first week.',
    schema: {
      type: 'object',
      properties: {
        mood: { enum: ['positive', 'mixed', 'negative'] },
        confidence: { type: 'integer', minimum: 0, maximum: 100 },
        reason: { type: 'string', maxLength: 120 },
      },
      required: ['mood', 'confidence', 'reason'],
      additionalProperties: false,
    },
  },
];

const indented = (value: unknown): string => JSON.stringify(value, null, 2);

const prompt = signal(examples[0]!.prompt);
const schema = signal(indented(examples[0]!.schema));
const answer = signal('');
const verdict = signal<{ good: boolean; text: string } | null>(null);
let abort: AbortController | undefined;
const running = signal(false);

async function run(): Promise<void> {
  abort?.abort();
  const mine = new AbortController();
  abort = mine;
  running.value = true;
  answer.value = '';
  verdict.value = null;
  const asked = { ...defaultSettings, model: state.settings.value.model, format: 'json_schema' as const, schema: schema.value, temperature: 0.3 };
  const message = { id: '', parent: null, role: 'user' as const, content: prompt.value, created: 0 };
  const begun = performance.now();
  let finish = '';
  let tokens = 0;
  try {
    for await (const delta of api.streamAnswer(api.chatBody(asked, [message]), 'playground', mine.signal)) {
      answer.value += delta.content ?? '';
      finish = delta.finish ?? finish;
      tokens = delta.usage?.answerTokens ?? tokens;
    }
    verdict.value = judge(finish, tokens, (performance.now() - begun) / 1000);
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 401) state.dialog.value = 'key';
    verdict.value = { good: false, text: mine.signal.aborted ? 'Stopped.' : (error as Error).message };
  }
  state.announcement.value = verdict.value.text;
  if (abort === mine) running.value = false;
}

function judge(finish: string, tokens: number, seconds: number): { good: boolean; text: string } {
  const cost = `${tokens} tokens in ${seconds.toFixed(1)} s`;
  if (finish === 'length') return { good: false, text: `The answer reached its limit before its end: ${cost}.` };
  const wrong = jsonError(answer.value);
  return wrong === '' ? { good: true, text: `Complete, and held to the schema: ${cost}.` } : { good: false, text: wrong };
}

function pretty(text: string): string {
  try {
    return indented(JSON.parse(text));
  } catch {
    return text;
  }
}

function useInConversation(): void {
  state.startNew();
  state.changeSettings({ format: 'json_schema', schema: schema.value });
  state.say('Answers of this conversation will keep to the schema.');
}

export function Playground(): JSX.Element {
  const wrong = jsonError(schema.value);
  return (
    <main class="playground">
      <div class="column-wide">
        <h2>JSON playground</h2>
        <p class="quiet">
          The model writes, the schema decides which tokens it can write: a complete answer is valid, or the server says which
          keyword it cannot hold.
        </p>
        <div class="examples" role="group" aria-label="Examples">
          {examples.map((one) => (
            <button
              type="button"
              class="chip"
              onClick={() => {
                prompt.value = one.prompt;
                schema.value = indented(one.schema);
              }}
            >
              {one.name}
            </button>
          ))}
        </div>
        <div class="panes">
          <form
            class="fields"
            onSubmit={(event) => {
              event.preventDefault();
              if (wrong === '') void run();
            }}
          >
            <label>
              JSON Schema
              <textarea
                class="code-input"
                rows={18}
                spellcheck={false}
                value={schema.value}
                aria-invalid={wrong !== ''}
                onInput={(event) => (schema.value = event.currentTarget.value)}
              />
              <small class={wrong === '' ? '' : 'wrong'}>{wrong === '' ? 'Tab leaves this field' : wrong}</small>
            </label>
            <label>
              Message
              <textarea
                rows={3}
                value={prompt.value}
                onInput={(event) => (prompt.value = event.currentTarget.value)}
                onKeyDown={(event) => {
                  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void run();
                }}
              />
            </label>
            <div class="row end">
              <button type="button" class="plain" onClick={useInConversation} disabled={wrong !== ''}>
                <Icon name="chat" />
                Use in a conversation
              </button>
              {running.value ? (
                <button type="button" class="primary" onClick={() => abort?.abort()}>
                  Stop
                </button>
              ) : (
                <button type="submit" class="primary" disabled={wrong !== '' || state.models.value.length === 0}>
                  Run
                </button>
              )}
            </div>
          </form>
          <section class="result" aria-label="Answer" aria-busy={running.value}>
            <h3>Answer</h3>
            <JsonView text={running.value ? answer.value : pretty(answer.value)} />
            {verdict.value && <p class={verdict.value.good ? 'verdict good' : 'verdict bad'}>{verdict.value.text}</p>}
          </section>
        </div>
      </div>
    </main>
  );
}
