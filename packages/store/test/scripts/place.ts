/** What names a database to a script: the path of its file, or its URL. */
export const placeOf = (argument = ""): { readonly url: string } | { readonly file: string } =>
  argument.startsWith("postgres:") ? { url: argument } : { file: argument };
