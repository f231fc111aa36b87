import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as tree from '../../src/tree';
import { defaultSettings, type Conversation, type Message } from '../../src/types';

let clock = 1;
function say(conversation: Conversation, role: Message['role'], content: string, parent = conversation.head): Conversation {
  return tree.append(conversation, { id: tree.newId(), parent, role, content, created: ++clock });
}
const texts = (conversation: Conversation): string[] => tree.shownPath(conversation).map((message) => message.content);

function talk(): Conversation {
  let conversation = tree.newConversation({ ...defaultSettings }, 1);
  for (const [role, text] of [['user', 'one'], ['assistant', 'two'], ['user', 'three'], ['assistant', 'four']] as const) {
    conversation = say(conversation, role, text);
  }
  return conversation;
}

test('a conversation is a path, and its title what was said first', () => {
  const conversation = talk();
  assert.deepEqual(texts(conversation), ['one', 'two', 'three', 'four']);
  assert.equal(conversation.title, 'one');
});

test('an edit is a version beside the old one, and both stay', () => {
  const before = talk();
  const third = tree.shownPath(before)[2]!;
  const edited = say(say(before, 'user', 'three again', third.parent), 'assistant', 'another four');
  assert.deepEqual(texts(edited), ['one', 'two', 'three again', 'another four']);
  assert.equal(tree.versionsOf(edited, third).length, 2);
  assert.deepEqual(texts(tree.showVersion(edited, third.id)), ['one', 'two', 'three', 'four']);
});

test('a branch is a copy of the path alone', () => {
  const before = talk();
  const second = tree.shownPath(before)[1]!;
  const copy = tree.branchAt(before, second.id);
  assert.deepEqual(texts(copy), ['one', 'two']);
  assert.equal(Object.keys(copy.messages).length, 2);
  assert.notEqual(copy.id, before.id);
});

test('what is removed takes what is below along', () => {
  const before = talk();
  const third = tree.shownPath(before)[2]!;
  const after = tree.removeMessage(before, third.id);
  assert.deepEqual(texts(after), ['one', 'two']);
  assert.equal(Object.keys(after.messages).length, 2);
});

test('search wants every word, in any order and case', () => {
  const all = [talk(), { ...talk(), title: 'Something else' }];
  assert.equal(tree.search(all, 'FOUR one').length, 2);
  assert.equal(tree.search(all, 'else').length, 1);
  assert.equal(tree.search(all, 'nowhere').length, 0);
  assert.match(tree.search(all, 'three')[0]!.excerpt, /three/);
});

test('titles are one short line', () => {
  assert.equal(tree.titleFrom('\n## A head\nmore'), 'A head');
  assert.equal(tree.titleFrom('x'.repeat(100)).length, 58);
});
