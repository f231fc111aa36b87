import type { JSX } from 'preact';
import { memo } from 'preact/compat';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { blocksOf, elementsOf, jsonElements } from '../markdown';
import * as state from '../state';

type Block = ReturnType<typeof blocksOf>[number];

/** A text of a model. While it grows, only the blocks that changed are made anew. */
export function Markdown({ text, live }: { text: string; live: boolean }): JSX.Element | null {
  if (text === '') return null;
  return (
    <div class={`prose ${live ? 'live' : ''}`} onClick={onCopyCode}>
      {blocksOf(text).map((block, index) => (
        <BlockView key={index} block={block} />
      ))}
    </div>
  );
}

const BlockView = memo(
  function BlockView({ block }: { block: Block }): JSX.Element {
    const root = useRef<HTMLDivElement>(null);
    useLayoutEffect(() => root.current?.replaceChildren(elementsOf(block.tokens)), [block.raw]);
    return <div ref={root} />;
  },
  (before, after) => before.block.raw === after.block.raw,
);

function onCopyCode(event: MouseEvent): void {
  const button = (event.target as Element).closest<HTMLButtonElement>('button.copy-code');
  if (!button) return;
  const code = button.closest('.code')?.querySelector('pre')?.textContent ?? '';
  void state.copyText(code).then((good) => {
    if (!good) return;
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
}

/** A text of JSON with colours. */
export function JsonView({ text }: { text: string }): JSX.Element {
  const root = useRef<HTMLPreElement>(null);
  useLayoutEffect(() => root.current?.replaceChildren(jsonElements(text)), [text]);
  return <pre class="json" ref={root} tabIndex={0} role="group" aria-label="JSON" />;
}
