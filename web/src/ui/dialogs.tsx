import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { apiKey } from '../api';
import * as state from '../state';
import { Modal, close } from './modal';
import { shortcuts } from './shortcuts';

const onMac = /Mac|iPhone|iPad/.test(navigator.platform);

export function ShortcutsDialog(): JSX.Element {
  return (
    <Modal name="shortcuts" title="Keyboard shortcuts">
      <dl class="shortcuts">
        {shortcuts.map(([keys, what]) => (
          <div>
            <dt>
              {keys.split(', ').map((one) => (
                <kbd>{onMac ? one.replace('Ctrl', '⌘').replace('Alt', '⌥') : one}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}

export function ApiKeyDialog(): JSX.Element {
  return (
    <Modal name="key" title="API key">
      <KeyForm />
    </Modal>
  );
}

function KeyForm(): JSX.Element {
  const key = useSignal(apiKey.get());
  const remember = useSignal(apiKey.remembered());
  const submit = (event: Event): void => {
    event.preventDefault();
    apiKey.set(key.value.trim(), remember.value);
    close();
    void state.refreshModels().then(state.refreshServer);
  };
  return (
    <form onSubmit={submit} class="fields">
      <p class="quiet">Servers that others can reach ask for a key. Whoever runs this one can give you yours.</p>
      <label>
        Key
        <input
          type="password"
          autocomplete="off"
          value={key.value}
          onInput={(event) => (key.value = event.currentTarget.value)}
        />
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={remember.value}
          onChange={(event) => (remember.value = event.currentTarget.checked)}
        />
        Keep it in this browser
      </label>
      <div class="row end">
        <button type="submit" class="primary">
          Use this key
        </button>
      </div>
    </form>
  );
}

export function RenameDialog(): JSX.Element {
  return (
    <Modal name="rename" title="Rename the conversation">
      <RenameForm />
    </Modal>
  );
}

function RenameForm(): JSX.Element {
  const title = useSignal(state.current.value?.title ?? '');
  const submit = (event: Event): void => {
    event.preventDefault();
    if (state.current.value && title.value.trim() !== '') state.rename(state.current.value.id, title.value.trim());
    close();
  };
  return (
    <form onSubmit={submit} class="fields">
      <label>
        Title
        <input value={title.value} onInput={(event) => (title.value = event.currentTarget.value)} />
      </label>
      <div class="row end">
        <button type="submit" class="primary">
          Rename
        </button>
      </div>
    </form>
  );
}
