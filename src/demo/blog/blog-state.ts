import { Code } from "../../status/code.js";
import { failure, RpcError } from "../rpc-error.js";

/** `google.protobuf.Timestamp` with its 64-bit seconds as decimal text. */
interface Timestamp {
  readonly seconds: string;
  readonly nanos: number;
}

export type ArticleState = "ARTICLE_STATE_UNSPECIFIED" | "ARTICLE_STATE_DRAFT" | "ARTICLE_STATE_PUBLISHED";

/** `product.app.v1.Article`; ids are decimal text. */
export interface Article {
  readonly id: string;
  readonly authorId: string;
  readonly title: string;
  readonly content: string;
  readonly tags: readonly string[];
  readonly state: ArticleState;
  readonly createTime: Timestamp;
  readonly publishTime: Timestamp | null;
}

export type ArticleText = Pick<Article, "title" | "content" | "tags">;

/** `product.app.v1.Author`; the id is decimal text. */
export interface Author {
  readonly id: string;
  readonly name: string;
}

const DOMAIN = "blog.demo";
const maxAuthors = 1000;
const maxArticles = 1000;

/** Articles and authors. Ids count from 1 and are never used twice. */
export class BlogState {
  readonly #authors = new Map<string, Author>();
  readonly #articles = new Map<string, Article>();
  #lastAuthor = 0;
  #lastArticle = 0;

  authors(): Author[] {
    return [...this.#authors.values()];
  }

  /** Newest first. */
  articles(): Article[] {
    return [...this.#articles.values()].reverse();
  }

  /** @throws RpcError RESOURCE_EXHAUSTED when there are too many */
  addAuthor(name: string): Author {
    if (this.#authors.size >= maxAuthors)
      throw new RpcError(Code.RESOURCE_EXHAUSTED, `there are ${maxAuthors} authors, and no more are taken`);
    const author = { id: String(++this.#lastAuthor), name };
    this.#authors.set(author.id, author);
    return author;
  }

  /** @throws RpcError NOT_FOUND, `AUTHOR_NOT_FOUND` */
  author(id: string): Author {
    const author = this.#authors.get(id);
    if (author === undefined)
      throw failure(Code.NOT_FOUND, "AUTHOR_NOT_FOUND", DOMAIN, `there is no author ${id}`, { id });
    return author;
  }

  renameAuthor(id: string, name: string): Author {
    const author = { ...this.author(id), name };
    this.#authors.set(id, author);
    return author;
  }

  /** @throws RpcError NOT_FOUND for the author, ALREADY_EXISTS for the title, RESOURCE_EXHAUSTED when there are too many */
  addArticle(authorId: string, text: ArticleText): Article {
    this.author(authorId);
    this.#claimTitle(authorId, text.title);
    if (this.#articles.size >= maxArticles)
      throw new RpcError(Code.RESOURCE_EXHAUSTED, `there are ${maxArticles} articles, and no more are taken`);
    const article: Article = {
      ...text,
      id: String(++this.#lastArticle),
      authorId,
      state: "ARTICLE_STATE_DRAFT",
      createTime: now(),
      publishTime: null,
    };
    this.#articles.set(article.id, article);
    return article;
  }

  /** @throws RpcError NOT_FOUND, `ARTICLE_NOT_FOUND` */
  article(id: string): Article {
    const article = this.#articles.get(id);
    if (article === undefined)
      throw failure(Code.NOT_FOUND, "ARTICLE_NOT_FOUND", DOMAIN, `there is no article ${id}`, { id });
    return article;
  }

  changeArticle(id: string, change: Partial<ArticleText>): Article {
    const before = this.article(id);
    if (change.title !== undefined && change.title !== before.title)
      this.#claimTitle(before.authorId, change.title);
    return this.#replace({ ...before, ...change });
  }

  /** @throws RpcError NOT_FOUND; FAILED_PRECONDITION, `ALREADY_PUBLISHED` */
  publishArticle(id: string): Article {
    const article = this.article(id);
    if (article.state === "ARTICLE_STATE_PUBLISHED") {
      const message = `article ${id} is published already`;
      throw failure(Code.FAILED_PRECONDITION, "ALREADY_PUBLISHED", DOMAIN, message, { id });
    }
    return this.#replace({ ...article, state: "ARTICLE_STATE_PUBLISHED", publishTime: now() });
  }

  removeArticle(id: string): void {
    this.article(id);
    this.#articles.delete(id);
  }

  #replace(article: Article): Article {
    this.#articles.set(article.id, article);
    return article;
  }

  #claimTitle(authorId: string, title: string): void {
    for (const article of this.#articles.values()) {
      if (article.authorId === authorId && article.title === title) {
        const message = `author ${authorId} has an article "${title}"`;
        throw failure(Code.ALREADY_EXISTS, "TITLE_TAKEN", DOMAIN, message, { id: article.id });
      }
    }
  }
}

function now(): Timestamp {
  const milliseconds = Date.now();
  return {
    seconds: String(Math.floor(milliseconds / 1000)),
    nanos: (milliseconds % 1000) * 1_000_000,
  };
}
