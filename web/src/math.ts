// Mathematics in Markdown: $…$, $$…$$, \(…\), \[…\] become MathML.
import type { MarkedExtension, TokenizerAndRendererExtension, Tokens } from 'marked';
import temml from 'temml';

interface MathToken extends Tokens.Generic {
  tex: string;
  display: boolean;
}

// "$5 and $10" is no formula: its dollars have a space inside, or a digit after them.
const kInline = /^\$(?![\s$])((?:\\[\s\S]|[^\\$\n])+?)(?<!\s)\$(?!\d)|^\\\(([\s\S]+?)\\\)/;
const kInlineDisplay = /^\$\$([\s\S]+?)\$\$|^\\\[([\s\S]+?)\\\]/;
const kBlock = /^ {0,3}(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n|$)/;

function toMathML(token: Tokens.Generic): string {
  const { tex, display } = token as MathToken;
  const markup = temml.renderToString(tex.trim(), {
    displayMode: display,
    throwOnError: false,
    trust: false,
    annotate: true,
    maxSize: [20, 50],
    maxExpand: 500,
  });
  return markup.replaceAll(' style="', ' data-style="'); // see applyStyles() in markdown.ts
}

function mathToken(type: string, found: RegExpExecArray | null, display: boolean): MathToken | undefined {
  return found ? { type, raw: found[0], tex: found[1] ?? found[2] ?? '', display } : undefined;
}

const block: TokenizerAndRendererExtension = {
  name: 'mathBlock',
  level: 'block',
  start: (source) => /(?:^|\n) {0,3}(?:\$\$|\\\[)/.exec(source)?.index,
  tokenizer: (source) => mathToken('mathBlock', kBlock.exec(source), true),
  renderer: (token) => `<div class="formula">${toMathML(token)}</div>`,
};

const inline: TokenizerAndRendererExtension = {
  name: 'mathInline',
  level: 'inline',
  start: (source) => /\$|\\\(|\\\[/.exec(source)?.index,
  tokenizer: (source) =>
    mathToken('mathInline', kInlineDisplay.exec(source), true) ?? mathToken('mathInline', kInline.exec(source), false),
  renderer: toMathML,
};

export const math: MarkedExtension = { extensions: [block, inline] };
