export { calledAs, isCrossSite, isOwnName, isToken, tokenFor } from './access.ts';
export { type Address, listen } from './listen.ts';
