import type { JSX } from 'preact';
import * as state from '../state';
import type { AnswerFormat, Settings } from '../types';
import { Modal } from './modal';

type NumberName = { [K in keyof Settings]-?: Settings[K] extends number | undefined ? K : never }[keyof Settings];

interface NumberField {
  name: NumberName;
  label: string;
  hint: string;
  min: number;
  max: number;
  step: number;
}

const main: NumberField[] = [
  { name: 'temperature', label: 'Temperature', hint: '0: always the likeliest token; more: more varied', min: 0, max: 2, step: 0.05 },
  { name: 'topP', label: 'Top p', hint: 'only the likeliest tokens that hold this probability together', min: 0, max: 1, step: 0.01 },
  { name: 'minP', label: 'Min p', hint: 'only tokens with at least this share of the likeliest one’s probability', min: 0, max: 1, step: 0.01 },
  { name: 'maxTokens', label: 'Most tokens', hint: 'where an answer ends at the latest', min: 1, max: 1 << 20, step: 1 },
];
const more: NumberField[] = [
  { name: 'topK', label: 'Top k', hint: 'only so many of the likeliest tokens; 0: all', min: 0, max: 1000, step: 1 },
  { name: 'repetitionPenalty', label: 'Repetition penalty', hint: '1: none', min: 0.01, max: 2, step: 0.01 },
  { name: 'presencePenalty', label: 'Presence penalty', hint: 'once for a token that was there', min: -2, max: 2, step: 0.05 },
  { name: 'frequencyPenalty', label: 'Frequency penalty', hint: 'for each time that it was there', min: -2, max: 2, step: 0.05 },
  { name: 'seed', label: 'Seed', hint: 'the same one: the same answer', min: 0, max: 2 ** 31, step: 1 },
];

export function SettingsDialog(): JSX.Element {
  return (
    <Modal name="settings" title="Settings of this conversation" class="drawer">
      <div class="fields">
        <SystemPrompt />
        <fieldset>
          <legend>Sampling</legend>
          <p class="quiet">Empty fields leave it to the server.</p>
          <div class="grid">{main.map(numberField)}</div>
          <details>
            <summary>More</summary>
            <div class="grid">{more.map(numberField)}</div>
            <TextField name="stop" label="Stop texts" hint="one a line: an answer ends before them" rows={2} />
          </details>
        </fieldset>
        <Format />
        <details>
          <summary>Tools</summary>
          <TextField
            name="tools"
            label="Functions that the model may call"
            hint="a JSON array, as OpenAI’s API has it; you give each result by hand"
            rows={6}
            code
            json
          />
        </details>
        <div class="row end">
          <button type="button" class="plain" onClick={state.saveDefaults}>
            Begin new conversations like this
          </button>
        </div>
      </div>
    </Modal>
  );
}

function SystemPrompt(): JSX.Element {
  return (
    <TextField
      name="system"
      label="System prompt"
      hint="what the model is told before the conversation"
      rows={4}
    />
  );
}

function numberField(field: NumberField): JSX.Element {
  const { name, label, hint, min, max, step } = field;
  const value = state.settings.value[name];
  return (
    <label key={name} title={hint}>
      {label}
      <input
        type="number"
        min={min}
        max={max}
        step={step}
        value={value ?? ''}
        placeholder="server"
        aria-description={hint}
        onInput={(event) => {
          const box = event.currentTarget;
          if (box.validity.badInput || box.validity.rangeOverflow || box.validity.rangeUnderflow) return;
          state.changeSettings({ [name]: box.value === '' ? undefined : Number(box.value) });
        }}
      />
    </label>
  );
}

interface TextFieldProps {
  name: 'system' | 'stop' | 'tools' | 'schema';
  label: string;
  hint: string;
  rows: number;
  code?: boolean;
  json?: boolean;
}

function TextField({ name, label, hint, rows, code, json }: TextFieldProps): JSX.Element {
  const value = state.settings.value[name];
  const wrong = json && value.trim() !== '' ? jsonError(value) : '';
  return (
    <label>
      {label}
      <textarea
        class={code ? 'code-input' : ''}
        rows={rows}
        spellcheck={!code}
        value={value}
        aria-description={hint}
        aria-invalid={wrong !== ''}
        onInput={(event) => state.changeSettings({ [name]: event.currentTarget.value })}
      />
      <small class={wrong === '' ? '' : 'wrong'}>{wrong === '' ? hint : wrong}</small>
    </label>
  );
}

export function jsonError(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const formats: [AnswerFormat, string][] = [
  ['text', 'Text'],
  ['json_object', 'JSON'],
  ['json_schema', 'By a schema'],
];

function Format(): JSX.Element {
  const format = state.settings.value.format;
  return (
    <fieldset>
      <legend>Answers</legend>
      <div class="segments">
        {formats.map(([value, label]) => (
          <label key={value}>
            <input
              type="radio"
              name="format"
              checked={format === value}
              onChange={() => state.changeSettings({ format: value })}
            />
            <span>{label}</span>
          </label>
        ))}
      </div>
      {format === 'json_schema' && (
        <TextField name="schema" label="JSON Schema" hint="each answer will be valid by it" rows={8} code json />
      )}
    </fieldset>
  );
}
