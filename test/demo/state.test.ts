import assert from "node:assert/strict";
import { test } from "node:test";
import { BlogState } from "../../src/demo/blog/blog-state.js";
import { MessageLog } from "../../src/demo/killrchat/room-store.js";
import { SessionStore } from "../../src/demo/killrchat/sessions.js";
import { MessageStore } from "../../src/demo/messaging/message-services.js";
import { hashPassword, verifyPassword } from "../../src/demo/password.js";

const author = { login: "jdoe", firstname: "John", lastname: "DOE" };

test("a room keeps its newest thousand messages", () => {
  const log = new MessageLog();
  for (let index = 0; index < 1500; index += 1) log.post(author, String(index));
  const kept = log.newest(5000, "").map(message => message.content);
  assert.equal(kept.length, 1000);
  assert.equal(kept[0], "1499");
  assert.equal(kept.at(-1), "500");
});

test("messages can be read page by page to the oldest", () => {
  const log = new MessageLog();
  for (let index = 0; index < 25; index += 1) log.post(author, String(index));
  const read: string[] = [];
  let before = "";
  for (let page = log.newest(10, before); page.length > 0; page = log.newest(10, before)) {
    read.push(...page.map(message => message.content));
    before = page.at(-1)?.messageId ?? "";
  }
  assert.deepEqual(
    read,
    Array.from({ length: 25 }, (_, index) => String(24 - index)),
  );
});

test("the message store keeps what was written last", () => {
  const store = new MessageStore();
  store.write("first", "1");
  for (let index = 0; index < 1000; index += 1) store.write(`id${index}`, "x");
  assert.equal(store.text("first"), "");
  assert.equal(store.text("id0"), "x");
});

test("a session ends once", () => {
  const sessions = new SessionStore();
  const token = sessions.open("jdoe");
  assert.notEqual(sessions.open("jdoe"), token);
  assert.equal(sessions.end(token), true);
  assert.equal(sessions.end(token), false);
});

test("a password is kept as a salted hash that only the password fits", async () => {
  const first = await hashPassword("correct horse");
  const second = await hashPassword("correct horse");
  assert.notDeepEqual(first.salt, second.salt);
  assert.notDeepEqual(first.key, second.key);
  assert.equal(await verifyPassword("correct horse", first), true);
  assert.equal(await verifyPassword("battery staple", first), false);
  assert.equal(await verifyPassword("correct horse", undefined), false);
});

test("ids of the blog are never used twice", () => {
  const blog = new BlogState();
  const { id } = blog.addAuthor("Ada");
  const first = blog.addArticle(id, { title: "a", content: "b", tags: [] });
  blog.removeArticle(first.id);
  assert.notEqual(blog.addArticle(id, { title: "a", content: "b", tags: [] }).id, first.id);
});
