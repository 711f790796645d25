import { readdirSync, readFileSync } from "node:fs";

/** A file of a page that the gateway serves to browsers. */
export interface PageFile {
  readonly name: string;
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** `Content-Security-Policy` of a page: only its own resources, only from its own host, and never text as markup. */
export const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const contentTypes: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/** All files of the folder of a page, and those that all pages share. */
export function pageFiles(folder: URL): readonly PageFile[] {
  return [folder, new URL("./page/", import.meta.url)].flatMap(filesOf);
}

function filesOf(folder: URL): readonly PageFile[] {
  return readdirSync(folder)
    .sort()
    .map(name => ({
      name,
      contentType: contentTypes[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream",
      bytes: readFileSync(new URL(name, folder)),
    }));
}
