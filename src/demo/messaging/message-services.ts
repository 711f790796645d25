import { badRequest } from "../rpc-error.js";
import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";

const maxId = 100;
const maxText = 4096;

/** `messaging.resource.v1.MessageService`: messages by resource name. */
export function resourceMessageService(store: MessageStore): DemoService {
  return {
    name: "messaging.resource.v1.MessageService",
    handlers: {
      GetMessage: unary((request: { readonly name: string }) => {
        const id = /^messages\/(.+)$/s.exec(request.name)?.[1];
        if (id === undefined)
          throw badRequest([{ field: "name", description: "must be messages/{message_id}" }]);
        return { text: store.text(id), request };
      }),
    },
  };
}

/** `messaging.query.v1.MessageService`: messages by id, conditions from the query. */
export function queryMessageService(store: MessageStore): DemoService {
  return {
    name: "messaging.query.v1.MessageService",
    handlers: {
      GetMessage: unary((request: { readonly messageId: string }) => {
        new Validation().text("message_id", request.messageId, maxId).done();
        return { text: store.text(request.messageId), request };
      }),
    },
  };
}

/** `messaging.update.v1.MessageService`: the message is one field of the request. */
export function updateMessageService(store: MessageStore): DemoService {
  return {
    name: "messaging.update.v1.MessageService",
    handlers: {
      UpdateMessage: unary(
        (request: { readonly messageId: string; readonly message: { readonly text: string } | null }) => {
          const text = request.message?.text ?? "";
          new Validation()
            .text("message_id", request.messageId, maxId)
            .optionalText("message.text", text, maxText)
            .done();
          store.write(request.messageId, text);
          return { request };
        },
      ),
    },
  };
}

/** `messaging.replace.v1.MessageService`: the message is spread over the request. */
export function replaceMessageService(store: MessageStore): DemoService {
  return {
    name: "messaging.replace.v1.MessageService",
    handlers: {
      UpdateMessage: unary((request: { readonly messageId: string; readonly text: string }) => {
        new Validation()
          .text("message_id", request.messageId, maxId)
          .optionalText("text", request.text, maxText)
          .done();
        store.write(request.messageId, request.text);
        return { request };
      }),
    },
  };
}

/** `messaging.store.v1.MessageService`, as served by a tRPC backend. */
export function trpcMessageService(store: MessageStore): DemoService {
  return {
    name: "messaging.store.v1.MessageService",
    handlers: { ...queryMessageService(store).handlers, ...replaceMessageService(store).handlers },
  };
}

/** Most messages kept; the one written longest ago makes room. */
const maxKeptMessages = 1000;

/** Texts by message id. */
export class MessageStore {
  readonly #texts = new Map<string, string>();

  /** Empty where there is no such message. */
  text(id: string): string {
    return this.#texts.get(id) ?? "";
  }

  write(id: string, text: string): void {
    this.#texts.delete(id);
    this.#texts.set(id, text);
    const oldest = this.#texts.keys().next();
    if (this.#texts.size > maxKeptMessages && !oldest.done) this.#texts.delete(oldest.value);
  }
}
