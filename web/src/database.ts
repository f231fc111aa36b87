// Conversations in the browser's IndexedDB: one record each.
import type { Conversation } from './types';

const kName = 'kinglet';
const kStore = 'conversations';

let opening: Promise<IDBDatabase> | undefined;

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the browser refuses its database'));
  });
}

function open(): Promise<IDBDatabase> {
  opening ??= (() => {
    const request = indexedDB.open(kName, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(kStore, { keyPath: 'id' });
    return settled(request);
  })();
  return opening;
}

async function store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  return (await open()).transaction(kStore, mode).objectStore(kStore);
}

export async function readAll(): Promise<Conversation[]> {
  return settled<Conversation[]>((await store('readonly')).getAll());
}

export async function write(conversation: Conversation): Promise<void> {
  await settled((await store('readwrite')).put(conversation));
}

export async function remove(id: string): Promise<void> {
  await settled((await store('readwrite')).delete(id));
}

export async function removeAll(): Promise<void> {
  await settled((await store('readwrite')).clear());
}
