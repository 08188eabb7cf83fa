// SPDX-License-Identifier: Apache-2.0
// What the bundler makes of a style sheet: nothing that has a value.
declare module '*.css';
