import { render } from 'preact';
import { begin } from './state';
import { App } from './ui/app';

void begin();
render(<App />, document.getElementById('app')!);
