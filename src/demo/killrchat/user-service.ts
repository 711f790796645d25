import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";
import type { AccountStore, Profile } from "./account-store.js";
import { hashPassword } from "./password.js";

interface CreateUser extends Profile {
  readonly password: string;
}

/** `killrchat.v1.UserService`. */
export function userService(accounts: AccountStore): DemoService {
  return {
    name: "killrchat.v1.UserService",
    handlers: {
      CreateUser: unary(async ({ password, ...profile }: CreateUser) => {
        const validation = new Validation()
          .text("login", profile.login, 64)
          .optionalText("firstname", profile.firstname, 100)
          .optionalText("lastname", profile.lastname, 100)
          .optionalText("email", profile.email, 254)
          .optionalText("bio", profile.bio, 1000);
        if (profile.login !== "" && !/^[\p{L}\p{N}._-]+$/u.test(profile.login))
          validation.fail("login", "must consist of letters, digits, ., _ and -");
        if (password === "") validation.fail("password", "must not be empty");
        validation.optionalText("password", password, 256).done();
        // Hashing is dear: a login that is taken fails before it, and once more where it was taken meanwhile.
        accounts.checkFree(profile.login);
        accounts.add(profile, await hashPassword(password));
        return {};
      }),

      GetUser: unary(({ login }: { readonly login: string }) => {
        const { profile, rooms } = accounts.get(login);
        return { ...profile, chatRooms: [...rooms] };
      }),
    },
  };
}
