/** A nominal type: `Brand<number, 'Uid'>` is a number that only a checked constructor gives out. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name }
