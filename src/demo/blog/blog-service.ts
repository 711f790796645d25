import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";
import type { Article, ArticleState, ArticleText, BlogState } from "./blog-state.js";

const maxPage = 1_000_000;
const maxPageSize = 100;
const defaultPageSize = 20;
const maxName = 100;
const maxTags = 20;

interface GetArticles {
  readonly authorId: string;
  readonly title: string;
  readonly state: ArticleState;
  readonly page: number;
  readonly pageSize: number;
}

interface PatchArticle {
  readonly article: Article | null;
  readonly updateMask: { readonly paths: readonly string[] } | null;
}

/** `product.app.v1.BlogService`. */
export function blogService(blog: BlogState): DemoService {
  return {
    name: "product.app.v1.BlogService",
    handlers: {
      GetArticles: unary((request: GetArticles) => {
        new Validation()
          .count("page", request.page, maxPage)
          .count("page_size", request.pageSize, maxPageSize)
          .done();
        if (request.authorId !== "0") blog.author(request.authorId);
        const found = blog.articles().filter(article => matches(article, request));
        const size = request.pageSize || defaultPageSize;
        const start = Math.max(request.page - 1, 0) * size;
        return { articles: found.slice(start, start + size), total: String(found.length) };
      }),

      CreateArticle: unary((request: { readonly authorId: string; readonly article: ArticleText | null }) => {
        const { title, content, tags } = request.article ?? { title: "", content: "", tags: [] };
        const validation = new Validation();
        checkTitle(validation, title);
        checkContent(validation, content);
        checkTags(validation, tags);
        validation.done();
        return blog.addArticle(request.authorId, { title, content, tags });
      }),

      PatchArticle: unary(({ article, updateMask }: PatchArticle) =>
        blog.changeArticle(
          article?.id ?? "0",
          article === null ? {} : changeOf(article, updateMask?.paths ?? []),
        ),
      ),

      DeleteArticle: unary((request: { readonly id: string }) => {
        blog.removeArticle(request.id);
        return {};
      }),

      PublishArticle: unary((request: { readonly id: string }) => blog.publishArticle(request.id)),

      SearchArticles: unary((request: { readonly words: readonly string[] }) => {
        if (request.words.length === 0) new Validation().fail("words", "must hold at least one word").done();
        const words = request.words.map(word => word.toLowerCase());
        const found = blog.articles().filter(({ title }) => {
          const text = title.toLowerCase();
          return words.every(word => text.includes(word));
        });
        return { articles: found.slice(0, maxPageSize) };
      }),

      ListAuthors: unary(() => ({ authors: blog.authors() })),

      CreateAuthor: unary((request: { readonly name: string }) => {
        new Validation().text("name", request.name, maxName).done();
        return blog.addAuthor(request.name);
      }),

      UpdateAuthor: unary((request: { readonly id: string; readonly name: string }) => {
        new Validation().text("name", request.name, maxName).done();
        return blog.renameAuthor(request.id, request.name);
      }),
    },
  };
}

/** Two authors and their articles, so that the first request of a newcomer shows something. */
export function writeFirstArticles(blog: BlogState): void {
  const ada = blog.addAuthor("Ada");
  const grace = blog.addAuthor("Grace");
  const first = blog.addArticle(ada.id, {
    title: "Proto first",
    content: "Write the contract, then the code.",
    tags: ["api", "proto"],
  });
  blog.publishArticle(first.id);
  blog.addArticle(grace.id, {
    title: "Status codes that tell the truth",
    content: "An error is not 200.",
    tags: ["http"],
  });
}

function matches(article: Article, { authorId, title, state }: GetArticles): boolean {
  return (
    (authorId === "0" || article.authorId === authorId) &&
    article.title.toLowerCase().includes(title.toLowerCase()) &&
    (state === "ARTICLE_STATE_UNSPECIFIED" || article.state === state)
  );
}

/** The fields that the mask names; without a mask all that are set (AIP-134). */
function changeOf(article: ArticleText, mask: readonly string[]): Partial<ArticleText> {
  const paths =
    mask.length > 0 ? mask : (["title", "content", "tags"] as const).filter(name => article[name].length > 0);
  const validation = new Validation();
  let change: Partial<ArticleText> = {};
  for (const path of paths) {
    if (path === "title") {
      checkTitle(validation, article.title);
      change = { ...change, title: article.title };
    } else if (path === "content") {
      checkContent(validation, article.content);
      change = { ...change, content: article.content };
    } else if (path === "tags") {
      checkTags(validation, article.tags);
      change = { ...change, tags: article.tags };
    } else {
      validation.fail("update_mask", `"${path}" cannot be changed; title, content and tags can`);
    }
  }
  validation.done();
  return change;
}

function checkTitle(validation: Validation, title: string): void {
  validation.text("article.title", title, 200);
}

function checkContent(validation: Validation, content: string): void {
  validation.text("article.content", content, 65_536);
}

function checkTags(validation: Validation, tags: readonly string[]): void {
  if (tags.length > maxTags)
    validation.fail("article.tags", `must be at most ${maxTags}, are ${tags.length}`);
  for (const [index, tag] of tags.slice(0, maxTags).entries())
    validation.text(`article.tags[${index}]`, tag, 50);
}
