// Line icons on a grid of 24.
import type { JSX } from 'preact';

const paths = {
  plus: 'M12 5v14M5 12h14',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4',
  menu: 'M4 6h16M4 12h16M4 18h16',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7 7h10v10H7z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  retry: 'M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6',
  branch: 'M7 8v8M7 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 20a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM17 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM17 9c0 4-3 4-6 5-2 .600-4 1-4 2',
  left: 'M14 6l-6 6 6 6',
  right: 'M10 6l6 6-6 6',
  down: 'M12 5v14M6 13l6 6 6-6',
  close: 'M6 6l12 12M18 6L6 18',
  sliders: 'M4 7h9M19 7h1M4 17h1M11 17h9M16 4.500v5M8 14.500v5',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  dots: 'M5 12h.010M12 12h.010M19 12h.010',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600L7 7M17 17l1.400 1.400M5.600 18.400L7 17M17 7l1.400-1.400',
  moon: 'M20 14.500A8 8 0 1 1 9.500 4a6.500 6.500 0 0 0 10.500 10.500z',
  auto: 'M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zM12 4v16M12 8h6M12 12h8M12 16h6',
  keyboard: 'M3 7h18v10H3zM7 11h.010M11 11h.010M15 11h.010M8 14h8',
  braces: 'M9 4c-3 0-3 1-3 4s-.500 3-2 4c1.500 1 2 1 2 4s0 4 3 4M15 4c3 0 3 1 3 4s.500 3 2 4c-1.500 1-2 1-2 4s0 4-3 4',
  chat: 'M4 5h16v11H9l-5 4z',
  download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  upload: 'M12 16V5M7 9l5-5 5 5M5 20h14',
  key: 'M8 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 12h9M18 12v4M15 12v3',
  spark: 'M12 4l1.800 5.200L19 11l-5.200 1.800L12 18l-1.800-5.200L5 11l5.200-1.800z',
  tool: 'M14.500 6.500a4 4 0 0 0 4.800 4.800l-8 8a2.300 2.300 0 0 1-3.300-3.300l8-8M14.500 6.500L17 4M19.300 11.300L21 8',
  gauge: 'M4 17a8 8 0 1 1 16 0M12 17l4-5',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  onClick: () => void;
  shortcut?: string;
  class?: string;
  disabled?: boolean;
  expanded?: boolean;
}

export function IconButton({ icon, label, onClick, shortcut, disabled, expanded, ...rest }: IconButtonProps): JSX.Element {
  return (
    <button
      type="button"
      class={`icon-button ${rest.class ?? ''}`}
      aria-label={label}
      title={shortcut ? `${label} (${shortcut})` : label}
      aria-keyshortcuts={shortcut?.replace('Ctrl', 'Control')}
      aria-expanded={expanded}
      onClick={onClick}
      disabled={disabled}
    >
      <Icon name={icon} />
    </button>
  );
}
