import { Code } from "../../status/code.js";
import { failure, RpcError } from "../rpc-error.js";

const DOMAIN = "killrchat.demo";

export function userNotFound(login: string): RpcError {
  return failure(Code.NOT_FOUND, "USER_NOT_FOUND", DOMAIN, `there is no user "${login}"`, { login });
}

export function loginTaken(login: string): RpcError {
  return failure(Code.ALREADY_EXISTS, "LOGIN_TAKEN", DOMAIN, `there is a user "${login}" already`, { login });
}

/** The same for an unknown login and a wrong password, so that it does not reveal which logins exist. */
export function badCredentials(): RpcError {
  return failure(Code.UNAUTHENTICATED, "BAD_CREDENTIALS", DOMAIN, "login and password do not match");
}

export function roomNotFound(roomName: string): RpcError {
  return failure(Code.NOT_FOUND, "ROOM_NOT_FOUND", DOMAIN, `there is no room "${roomName}"`, { roomName });
}

export function roomExists(roomName: string): RpcError {
  const message = `there is a room "${roomName}" already`;
  return failure(Code.ALREADY_EXISTS, "ROOM_EXISTS", DOMAIN, message, { roomName });
}

export function messageNotFound(messageId: string): RpcError {
  const message = `there is no message "${messageId}", or not any more`;
  return failure(Code.NOT_FOUND, "MESSAGE_NOT_FOUND", DOMAIN, message, { messageId });
}

/** @param what plural, `users` */
export function full(what: string, most: number): RpcError {
  return new RpcError(Code.RESOURCE_EXHAUSTED, `there are ${most} ${what}, and no more are taken`);
}
