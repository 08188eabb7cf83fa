// SPDX-License-Identifier: Apache-2.0
// What a line of hubble.metrics.enabled says:
//
//   metric = name [ ":" option *( ";" option ) ]        option = key [ "=" value *( ("|" | ",") value ) ]
//   dns:query;ignoreAAAA        drop:sourceContext=pod|ip;labelsContext=source_namespace,destination_namespace

/** Keys of options are in small letters: their case says nothing. */
export type Wanted = { readonly name: string; readonly options: ReadonlyMap<string, readonly string[]> };

function wantedIn(text: string): Wanted {
  const colon = text.indexOf(':');
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  const words = colon < 0 ? [] : text.slice(colon + 1).split(';');
  const options = words
    .map((word) => word.trim())
    .filter((word) => word !== '')
    .map((word): [string, readonly string[]] => {
      const equals = word.indexOf('=');
      if (equals < 0) return [word.toLowerCase(), []];
      const values = word.slice(equals + 1).split(/[|,]/);
      return [word.slice(0, equals).trim().toLowerCase(), values.map((value) => value.trim()).filter((value) => value !== '')];
    });
  return { name, options: new Map(options) };
}

/** One entry may have several metrics, between spaces. */
export function allWantedIn(lines: readonly string[]): readonly Wanted[] {
  return lines.flatMap((line) => line.split(/\s+/)).flatMap((text) => (text === '' ? [] : [wantedIn(text)]));
}
