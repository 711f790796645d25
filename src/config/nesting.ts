import { Lexer, Parser } from "yaml";

/**
 * True where lists and mappings of a YAML text are nested more than `limit` deep. This must be known before
 * parsing: the composer recurses with the text's nesting, and running out of stack inside a regular expression
 * ends the process. Lexer and Parser do not recurse; the parser's stack is what is open at the moment.
 */
export function nestsDeeper(text: string, limit: number): boolean {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme));
    if (parser.stack.length > limit) return true;
  }
  return false;
}
