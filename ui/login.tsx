// SPDX-License-Identifier: Apache-2.0
// Asks for a token where the server wants one. It goes into a cookie of this site that ends with the browser: a stream of events
// cannot have a header.

import { useState } from 'preact/hooks';

export function Login({ why }: { readonly why: string }) {
  const [token, setToken] = useState('');
  return (
    <form
      class="login"
      onSubmit={(event) => {
        event.preventDefault();
        const secure = location.protocol === 'https:' ? '; secure' : '';
        document.cookie = `hubble-token=${encodeURIComponent(token.trim())}; path=${location.pathname}; samesite=strict${secure}`;
        location.reload();
      }}
    >
      <h1>Hubble</h1>
      <p class="muted">{why}</p>
      <input
        type="password"
        autocomplete="off"
        aria-label="Token"
        placeholder="Token"
        value={token}
        onInput={(event) => setToken(event.currentTarget.value)}
      />
      <button type="submit" disabled={token.trim() === ''}>
        Show
      </button>
    </form>
  );
}
