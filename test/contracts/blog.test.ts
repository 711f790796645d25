import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { type System, startSystem } from "./system.js";

interface Article {
  readonly id: string;
  readonly authorId: string;
  readonly title: string;
  readonly tags?: readonly string[];
  readonly state: string;
  readonly createTime: string;
}

interface Articles {
  readonly articles: readonly Article[];
  readonly total: string;
}

interface Author {
  readonly id: string;
  readonly name: string;
}

interface Failed {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details: readonly unknown[];
}

describe("config/examples/blog.yaml", () => {
  let system: System;
  before(async () => {
    system = await startSystem(resolve(import.meta.dirname, "../../config/examples/blog.yaml"));
  });
  after(() => system.close());

  async function json<Value>(method: string, path: string, body?: unknown) {
    const answer = await system.send(method, path, body === undefined ? {} : { body });
    return { status: answer.status, value: JSON.parse(answer.body) as Value };
  }

  it("GET /v1/articles lists the articles of all authors", async () => {
    const { status, value } = await json<Articles>(
      "GET",
      "/v1/articles?state=ARTICLE_STATE_PUBLISHED&pageSize=1",
    );
    assert.equal(status, 200);
    assert.equal(value.total, "1");
    const [article] = value.articles;
    assert.ok(article);
    assert.equal(article.id, "1");
    assert.equal(article.authorId, "1");
    assert.equal(article.state, "ARTICLE_STATE_PUBLISHED");
    assert.deepEqual(article.tags, ["api", "proto"]);
    assert.match(article.createTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/);
  });

  it("GET /v1/author/{author_id}/articles lists those of one author", async () => {
    const { status, value } = await json<Articles>("GET", "/v1/author/2/articles");
    assert.equal(status, 200);
    assert.deepEqual(
      value.articles.map(article => article.authorId),
      ["2"],
    );
  });

  it("an author in the path cannot be changed by the query", async () => {
    const { status, value } = await json<Failed>("GET", "/v1/author/2/articles?author_id=1");
    assert.equal(status, 400);
    assert.equal(value.reason, "FIELD_COLLISION");
  });

  it("an enum is taken by number too", async () => {
    const { status, value } = await json<Articles>("GET", "/v1/articles?state=2&page_size=1");
    assert.equal(status, 200);
    assert.equal(value.articles[0]?.state, "ARTICLE_STATE_PUBLISHED");
  });

  it("POST /v1/author/{author_id}/articles writes an article, and a second one of that title is 409", async () => {
    const article = { title: "Written once", content: "…", tags: ["once"] };
    const first = await json<Article>("POST", "/v1/author/1/articles", article);
    assert.equal(first.status, 200);
    assert.equal(first.value.authorId, "1");
    assert.equal(first.value.state, "ARTICLE_STATE_DRAFT");
    assert.equal("publishTime" in first.value, false);
    const second = await json<Failed>("POST", "/v1/author/1/articles", article);
    assert.equal(second.status, 409);
    assert.equal(second.value.code, 6);
    assert.equal(second.value.reason, "TITLE_TAKEN");
    assert.deepEqual(second.value.details, [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "TITLE_TAKEN",
        domain: "blog.demo",
        metadata: { id: first.value.id },
      },
    ]);
  });

  it("violations of the backend stay typed", async () => {
    const { status, value } = await json<Failed>("POST", "/v1/author/1/articles", { title: " " });
    assert.equal(status, 400);
    assert.equal(value.code, 3);
    assert.equal(value.reason, "INVALID_ARGUMENT");
    assert.deepEqual(value.details, [
      {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        fieldViolations: [
          { field: "article.title", description: "must not be empty" },
          { field: "article.content", description: "must not be empty" },
        ],
      },
    ]);
  });

  it("PATCH changes only the fields that the body names, by an update mask made from it", async () => {
    const before = await json<Article>("POST", "/v1/author/2/articles", {
      title: "Rough",
      content: "kept",
      tags: ["a"],
    });
    const path = `/v1/articles/${before.value.id}`;
    const after = await json<Article>("PATCH", path, { title: "Smooth", tags: [] });
    assert.equal(after.status, 200, JSON.stringify(after.value));
    assert.deepEqual(after.value, withoutTags({ ...before.value, title: "Smooth" }));
  });

  it("PATCH keeps to an update mask that the query gives", async () => {
    const before = await json<Article>("POST", "/v1/author/2/articles", { title: "Masked", content: "kept" });
    const path = `/v1/articles/${before.value.id}?updateMask=title`;
    const after = await json<Article>("PATCH", path, { title: "Unmasked", content: "ignored" });
    assert.equal(after.status, 200, JSON.stringify(after.value));
    assert.deepEqual(after.value, { ...before.value, title: "Unmasked" });
  });

  it("methods without annotation get their HTTP method from the first word of their name", async () => {
    const service = "/product.app.v1.BlogService";
    const authors = await json<{ readonly authors: readonly Author[] }>("GET", `${service}/ListAuthors`);
    assert.equal(authors.status, 200);
    assert.deepEqual(authors.value.authors.slice(0, 2), [
      { id: "1", name: "Ada" },
      { id: "2", name: "Grace" },
    ]);

    const created = await json<Author>("POST", `${service}/CreateAuthor`, { name: "Alan" });
    assert.equal(created.value.name, "Alan");

    const updated = await json<Author>("PUT", `${service}/UpdateAuthor`, {
      id: created.value.id,
      name: "Alan T.",
    });
    assert.deepEqual(updated.value, { id: created.value.id, name: "Alan T." });

    const found = await json<Articles>("GET", `${service}/SearchArticles?words=proto&words=first`);
    assert.deepEqual(
      found.value.articles.map(article => article.title),
      ["Proto first"],
    );

    const draft = await json<Article>("POST", `/v1/author/${created.value.id}/articles`, {
      title: "T",
      content: "C",
    });
    const published = await json<Article>("POST", `${service}/PublishArticle`, { id: draft.value.id });
    assert.equal(published.value.state, "ARTICLE_STATE_PUBLISHED");
    const again = await json<Failed>("POST", `${service}/PublishArticle`, { id: draft.value.id });
    assert.equal(again.status, 400);
    assert.equal(again.value.code, 9);
    assert.equal(again.value.reason, "ALREADY_PUBLISHED");

    const deleted = await system.send("DELETE", `${service}/DeleteArticle?id=${draft.value.id}`);
    assert.equal(deleted.status, 204);
    assert.equal(deleted.body, "");
  });

  it("an unknown article is 404 with its business reason, not 200", async () => {
    const { status, value } = await json<Failed>(
      "DELETE",
      "/product.app.v1.BlogService/DeleteArticle?id=999999",
    );
    assert.equal(status, 404);
    assert.equal(value.code, 5);
    assert.equal(value.reason, "ARTICLE_NOT_FOUND");
    assert.equal(value.message, "there is no article 999999");
  });

  it("an annotated method has no second route by convention", async () => {
    const answer = await system.send("GET", "/product.app.v1.BlogService/GetArticles");
    // Its path as an RPC, for Connect and gRPC-Web, is not one of REST.
    assert.deepEqual([answer.status, answer.headers.allow], [405, "OPTIONS, POST"]);
  });

  it("a wrong HTTP method of a conventional route is 405 with Allow", async () => {
    const answer = await system.send("PUT", "/product.app.v1.BlogService/ListAuthors", { body: {} });
    assert.equal(answer.status, 405);
    assert.match(answer.headers.allow ?? "", /\bGET\b/);
  });
});

function withoutTags({ tags: _, ...article }: Readonly<Record<string, unknown>>): object {
  return article;
}
