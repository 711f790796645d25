import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Registry } from "prom-client";
import { PolicyMetrics } from "../../../src/auth/auth-metrics.js";
import { pathGlob } from "../../../src/auth/policy/path-glob.js";
import { createPolicies } from "../../../src/auth/policy/policies.js";
import { RouterBuilder } from "../../../src/routing/router.js";
import type { Template } from "../../../src/routing/template.js";
import { parseTemplate } from "../../../src/routing/template-parser.js";
import { GatewayError } from "../../../src/status/failure.js";

const nowhere = { file: "gateway.yaml", line: 0, column: 0 };

/** The segments of a raw path as guards give them to policies. */
function segmentsOf(path: string): string[] {
  return path.slice(1).split("/").map(decodeURIComponent);
}

/** True where a policy on `glob` that denies everybody refuses `path` on the route of `template`. */
function refuses(glob: string, template: Template, path: string): boolean {
  const policies = createPolicies([{ match: { route: glob }, deny: true }], {
    locate: () => nowhere,
    metrics: new PolicyMetrics(new Registry()),
  });
  const authorizer = policies.authorizer({ method: "GET", template, rpc: undefined, authenticated: true });
  if (authorizer === undefined) return false;
  try {
    authorizer.before(undefined, authorizer.usesPath ? segmentsOf(path) : []);
    return false;
  } catch (error) {
    assert.ok(error instanceof GatewayError);
    return true;
  }
}

/** The plain meaning of a glob, over segments in which no slash is a separator. */
function plainMatch(glob: string, segments: readonly string[]): boolean {
  const quote = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  const pattern = glob
    .slice(1)
    .split("/")
    .map(item => (item === "**" ? "(?:/[^/]*)*" : `/${item.split("*").map(quote).join("[^/]*")}`))
    .join("");
  const text = segments.map(segment => `/${segment.replaceAll("/", "\u0001")}`).join("");
  return new RegExp(`^${pattern}$`, "s").test(text);
}

test("a glob covers the paths of a template always, never, or as each path is", () => {
  for (const [glob, template, coverage] of [
    ["/admin/**", "/admin/users", "always"],
    ["/admin/**", "/admin", "always"],
    ["/admin/**", "/admin/{name=**}", "always"],
    ["/admin/**", "/v1/users/{id}", "never"],
    ["/admin/**", "/administrators", "never"],
    ["/admin/**", "/{section}/users", "depends"],
    ["/admin/**", "/{name=**}", "depends"],
    ["/admin/**", "/Admin/users", "always"],
    ["/admin/**", "/%61dmin/users", "always"],
    ["/%61dmin/**", "/admin/users", "always"],
    ["/**", "/", "always"],
    ["/**", "/{a=**}/x:go", "always"],
    ["/", "/", "always"],
    ["/", "/a", "never"],
    ["/v1/*", "/v1/{id}", "always"],
    ["/v1/*", "/v1/{id}:cancel", "always"],
    ["/v1/*", "/v1/{id}/x", "depends"],
    ["/v1/*/x", "/v1/{id}/x", "always"],
    ["/v1/me", "/v1/me:cancel", "always"],
    ["/v1/me:cancel", "/v1/me:cancel", "always"],
    ["/v1/me:cancel", "/v1/me", "never"],
    ["/v1/me", "/v1/{id}", "depends"],
    ["/v1/u-*", "/v1/u-7", "always"],
    ["/v1/u-*", "/v1/v-7", "never"],
    ["/v1/u-*", "/v1/{id}", "depends"],
    ["/**/users", "/admin/users", "always"],
    ["/**/users", "/admin/{x}", "depends"],
    ["/**/users/**", "/a/users/{id}", "always"],
    ["/a/**/z", "/a/{b=**}/z", "always"],
    ["/a/b", "/a%2Fb", "depends"],
    ["/*n", "/{w=a/**}:admin", "depends"],
    ["/*", "/", "depends"],
  ] as const) {
    assert.equal(pathGlob(glob).coverage(parseTemplate(template)), coverage, `${glob} ${template}`);
  }
});

test("no spelling of a path leads past a policy", () => {
  const template = parseTemplate("/{path=**}");
  for (const path of [
    "/admin/users",
    "/%61dmin/users",
    "/ADMIN/users",
    "/Admin/users",
    "//admin/users",
    "/admin//users",
    "/admin/users/",
    "/admin",
    "/admin/",
    "/admin;v=1/users",
    "/;v=1/admin/users",
    "/admin;/users",
    "/admin%2Fusers",
    "/admin%2fusers",
    "/%2Fadmin/users",
    "/admin%5Cusers",
    "/admin\\users",
    "/admin%252Fusers",
    "/admin:go",
    "/admin/users:go",
    "/admin:go/",
    "/x%5C..%5Cadmin",
    "/x/..;/admin/users",
    "/x%2F%252e%252e%2Fadmin",
    "/%E2%84%AAx/..;a=b/admin",
    "/%2561dmin/users",
    "/%2541DMIN%253bx/users",
    "/x%255c%252e%252e/admin",
  ]) {
    assert.ok(refuses("/admin/**", template, path), path);
  }
  for (const path of ["/v1/users", "/administrators", "/x/admin", "/xadmin/users", "/v1.2/a.b", "/"]) {
    assert.ok(!refuses("/admin/**", template, path), path);
  }
});

const literal = fc.constantFrom("admin", "users", "a", "b", "go");
const templateText = fc
  .tuple(
    fc.array(fc.oneof(literal, fc.constantFrom("*", "{v}")), { maxLength: 3 }),
    fc.constantFrom("", "**", "{w=**}", "{w=a/**}", "{w=*/b}"),
    fc.array(literal, { maxLength: 1 }),
    fc.constantFrom("", ":go", ":admin"),
  )
  .map(([head, middle, tail, verb]) => {
    const named = head.map((segment, index) => (segment === "{v}" ? `{v${index}}` : segment));
    const segments = [...named, ...(middle === "" ? [] : [middle]), ...tail];
    return segments.length === 0 ? "/" : `/${segments.join("/")}${verb}`;
  });
const globText = fc
  .array(fc.constantFrom("admin", "users", "a", "b", "a:go", "*", "**", "a*", "*n", "u*s"), { maxLength: 4 })
  .map(items => `/${items.join("/")}`);
const pathText = fc
  .array(
    fc.constantFrom(
      ..."admin users a b go ADMIN %61dmin admin;x=1 a%2Fb a%2fusers admin%5Cb users:go a:admin %2561 admin%252Fb a;b:go".split(
        " ",
      ),
      "",
    ),
    { maxLength: 5 },
  )
  .map(segments => `/${segments.join("/")}`);

test("every route that the router finds for a path under a glob has the policy, by either reading of %2F", () => {
  let applied = 0;
  fc.assert(
    fc.property(
      fc.array(templateText, { minLength: 1, maxLength: 5 }),
      globText,
      fc.array(pathText, { minLength: 1, maxLength: 20 }),
      (texts, glob, paths) => {
        const builder = new RouterBuilder<Template>();
        for (const text of texts) {
          const template = parseTemplate(text);
          builder.add("GET", template, template);
        }
        const router = builder.build();
        for (const path of paths) {
          const match = router.match("GET", path);
          if (match.kind !== "found") continue;
          const segments = segmentsOf(path);
          const under = plainMatch(glob, segments) || plainMatch(glob, segments.join("/").split("/"));
          if (!under) continue;
          applied++;
          assert.ok(refuses(glob, match.value, path), `${glob} ${match.value.text} ${path}`);
        }
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(applied > 50, `${applied} paths were under their globs`);
});

test("a template that a glob always covers has only matching paths, and one it never covers has none", () => {
  fc.assert(
    fc.property(templateText, globText, fc.array(pathText, { maxLength: 10 }), (text, glob, paths) => {
      const template = parseTemplate(text);
      const router = new RouterBuilder<Template>();
      router.add("GET", template, template);
      const compiled = pathGlob(glob);
      const coverage = compiled.coverage(template);
      for (const path of paths) {
        if (router.build().match("GET", path).kind !== "found") continue;
        const matches = compiled.matches(segmentsOf(path));
        if (coverage === "always") assert.ok(matches, `${glob} ${text} ${path}`);
        if (coverage === "never") assert.ok(!matches, `${glob} ${text} ${path}`);
      }
    }),
    { numRuns: 3000 },
  );
});

test("a path of many separators and a glob of many wildcards cost little", () => {
  const compiled = pathGlob(`/${"**/*a*b*/".repeat(20)}z`);
  const segments = Array.from({ length: 512 }, () => "a%2Fa/".repeat(10));
  const began = process.cpuUsage();
  assert.equal(compiled.matches(segments), false);
  const { user } = process.cpuUsage(began);
  assert.ok(user < 5_000_000, `${user} µs`);
});
