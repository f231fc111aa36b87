import type { JSX } from 'preact';
import * as state from '../state';
import { bytes } from './app';
import { Modal } from './modal';

export function ServerDialog(): JSX.Element {
  return (
    <Modal name="server" title="The server">
      <ServerTables />
    </Modal>
  );
}

function ServerTables(): JSX.Element {
  const server = state.server.value;
  if (!server) return <p class="quiet">Nothing is known of it yet.</p>;
  const total = server.memory.reduce((sum, one) => sum + one.bytes, 0);
  const work: [string, string][] = [
    ['Answers under way', String(server.running)],
    ['Requests waiting', String(server.waiting)],
    ['Keys and values in use', bytes(server.keyValueBytes)],
    ['Prompt tokens so far', server.promptTokens.toLocaleString('en')],
    ['of these from the prefix cache', server.cachedTokens.toLocaleString('en')],
    ['Answer tokens so far', server.answerTokens.toLocaleString('en')],
  ];
  return (
    <div class="server">
      <p>
        <span class={`dot ${server.healthy ? 'good' : 'bad'}`} />
        {server.healthy ? 'Its models answer.' : 'It is not well: see its log.'}
      </p>
      <table>
        <caption>Memory: {bytes(total)}</caption>
        <tbody>
          {server.memory
            .filter((one) => one.bytes > 0)
            .map((one) => (
              <tr>
                <th scope="row">{one.use}</th>
                <td class="bar" aria-hidden="true">
                  <span style={{ width: `${(100 * one.bytes) / total}%` }} />
                </td>
                <td>{bytes(one.bytes)}</td>
              </tr>
            ))}
        </tbody>
      </table>
      <table>
        <caption>Work</caption>
        <tbody>
          {work.map(([name, value]) => (
            <tr>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="quiet">
        <a href="./licenses.txt" target="_blank">
          Licences of what this page contains
        </a>
      </p>
    </div>
  );
}
