// Markdown of a model, which nobody can trust, as elements that can do no harm: no script, no style of their own, nothing that
// is fetched from elsewhere, no links but to the web and to mail.
import DOMPurify from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';
import { highlighted } from './highlighter';
import { math } from './math';

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text: string): string => text.replace(/[&<>"']/g, (one) => escapes[one]!);

const marked = new Marked(
  {
    gfm: true,
    breaks: false,
    renderer: {
      code({ text, lang }: Tokens.Code): string {
        const language = (lang ?? '').trim().split(/\s+/)[0]!.toLowerCase();
        const inner = highlighted(text, language) ?? escape(text);
        return `<pre data-language="${escape(language)}"><code>${inner}</code></pre>`;
      },
      // A picture's address tells whoever owns it what was read here, so it is a link to click on.
      image({ href, text }: Tokens.Image): string {
        return `<a href="${escape(href)}">${escape(text === '' ? href : text)}</a>`;
      },
      html({ text }: Tokens.HTML | Tokens.Tag): string {
        return escape(text);
      },
      checkbox({ checked }: Tokens.Checkbox): string {
        return checked ? '☑ ' : '☐ ';
      },
    },
  },
  math,
);

const kLinks = /^(?:https?:|mailto:|#)/i;

const purifier = DOMPurify(window);
purifier.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  if (!kLinks.test(node.getAttribute('href') ?? '')) return node.removeAttribute('href');
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer nofollow');
});

function sanitize(html: string): DocumentFragment {
  return purifier.sanitize(html, {
    USE_PROFILES: { html: true, mathMl: true },
    ADD_TAGS: ['semantics', 'annotation'],
    ADD_ATTR: ['encoding'],
    FORBID_TAGS: ['style', 'form', 'input', 'textarea', 'select', 'button', 'img', 'video', 'audio', 'picture', 'source', 'track', 'map', 'area', 'dialog', 'fieldset', 'label', 'option', 'optgroup', 'datalist', 'meter', 'output'],
    FORBID_ATTR: ['style', 'id', 'name', 'tabindex', 'contenteditable', 'accesskey', 'autofocus', 'popover', 'popovertarget', 'background', 'draggable'],
    SANITIZE_NAMED_PROPS: true,
    RETURN_DOM_FRAGMENT: true,
  });
}

// Formulas come with styles (spaces, sizes). The page's policy has none in markup: they are set one by one, and only inside formulas.
const kFormulaStyle = /^(?:padding|margin|width|height|min-|text-align|vertical-align|border|font-|line-height|position|display|letter-spacing|float|math-)/;
function applyStyles(root: DocumentFragment): void {
  for (const element of root.querySelectorAll<HTMLElement>('math [data-style], math[data-style]')) {
    const text = element.dataset.style ?? '';
    element.removeAttribute('data-style');
    for (const rule of text.split(';')) {
      const [name = '', value = ''] = rule.split(':').map((part) => part.trim());
      if (kFormulaStyle.test(name) && !/url|fixed|absolute/i.test(value)) element.style.setProperty(name, value);
    }
  }
}

// What a page adds around what a model wrote: a head with the language and a button on code, a place to scroll around tables.
function furnish(root: DocumentFragment): void {
  for (const pre of root.querySelectorAll('pre')) {
    const box = document.createElement('div');
    box.className = 'code';
    const head = document.createElement('div');
    head.className = 'code-head';
    const language = document.createElement('span');
    language.textContent = pre.dataset.language || 'text';
    const copy = document.createElement('button');
    copy.type = 'button';
    copy.className = 'copy-code';
    copy.textContent = 'Copy';
    copy.setAttribute('aria-label', `Copy ${pre.dataset.language ?? ''} code`.replace('  ', ' '));
    head.append(language, copy);
    pre.replaceWith(box);
    pre.tabIndex = 0; // so that the keyboard can scroll it
    pre.setAttribute('role', 'group');
    pre.setAttribute('aria-label', 'code');
    box.append(head, pre);
  }
  for (const table of root.querySelectorAll('table')) {
    const box = document.createElement('div');
    box.className = 'table';
    box.tabIndex = 0;
    box.setAttribute('role', 'group');
    box.setAttribute('aria-label', 'table');
    table.replaceWith(box);
    box.append(table);
  }
}

/** The top-level pieces of a text, each as it stands in the source; what links refer to comes along. */
export function blocksOf(text: string): { raw: string; tokens: Token[] & { links: Tokens.Link[] } }[] {
  const all = marked.lexer(text);
  const links = all.links;
  return all
    .filter((token) => token.type !== 'space')
    .map((token) => ({ raw: token.raw, tokens: Object.assign([token], { links }) as never }));
}

/** Elements for one of those pieces. */
export function elementsOf(tokens: Token[]): DocumentFragment {
  const root = sanitize(marked.parser(tokens));
  applyStyles(root);
  furnish(root);
  return root;
}

/** Elements of a text of JSON, with colours. */
export function jsonElements(text: string): DocumentFragment {
  const html = highlighted(text, 'json') ?? escape(text);
  return sanitize(`<code>${html}</code>`);
}
