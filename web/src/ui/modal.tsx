import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import * as state from '../state';
import type { Dialog } from '../state';
import { IconButton } from './icons';

interface ModalProps {
  name: Dialog;
  title: string;
  children: ComponentChildren;
  class?: string;
}

/** The browser's own dialog: it keeps the focus inside, closes on Escape and gives the focus back. */
export function Modal({ name, title, children, ...rest }: ModalProps): JSX.Element | null {
  return state.dialog.value === name ? (
    <Opened title={title} class={rest.class}>
      {children}
    </Opened>
  ) : null;
}

function Opened({ title, children, ...rest }: Omit<ModalProps, 'name'>): JSX.Element {
  const root = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    root.current?.showModal();
    return () => before?.focus();
  }, []);
  return (
    <dialog
      ref={root}
      class={rest.class}
      aria-label={title}
      onClose={close}
      onClick={(event) => {
        if (event.target === event.currentTarget) close(); // beside it
      }}
    >
      <div class="dialog-inside">
        <header>
          <h2>{title}</h2>
          <IconButton icon="close" label="Close" onClick={close} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

export function close(): void {
  state.dialog.value = 'none';
}
