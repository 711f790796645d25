import { type DemoService, unary } from "../service.js";
import { requireOperation } from "./caller.js";
import { readToken } from "./token.js";

/** `openim.admin.admin`. */
export function adminService(): DemoService {
  return {
    name: "openim.admin.admin",
    handlers: {
      ParseToken: unary(async ({ token }: { readonly token: string }, { metadata }) => {
        requireOperation(metadata);
        const { userID, userType, expires } = await readToken(token);
        return { userID, userType, expireTimeSeconds: Math.max(0, expires - Math.floor(Date.now() / 1000)) };
      }),
    },
  };
}
