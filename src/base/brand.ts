// SPDX-License-Identifier: Apache-2.0
// A brand makes two types with the same representation incompatible, at no cost at run time.

declare const brand: unique symbol;

/** `T` that only the one file which owns `Name` can make. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
