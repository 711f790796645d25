import { badRequest } from "../rpc-error.js";
import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";
import type { MessageStore } from "./message-store.js";

const MOST_ID = 100;
const MOST_TEXT = 4096;

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
        new Validation().text("message_id", request.messageId, MOST_ID).done();
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
            .text("message_id", request.messageId, MOST_ID)
            .optionalText("message.text", text, MOST_TEXT)
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
          .text("message_id", request.messageId, MOST_ID)
          .optionalText("text", request.text, MOST_TEXT)
          .done();
        store.write(request.messageId, request.text);
        return { request };
      }),
    },
  };
}
