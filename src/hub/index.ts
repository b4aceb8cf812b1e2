export type { DownloadOptions, DownloadProgress } from './download.ts';
export { type HubOptions, type Way, whole } from './fetch.ts';
export { fetchModel } from './model.ts';
export { type HubName, hubPath, isAddress, isCommit, isHubName, parseHubName } from './names.ts';
export { type LocalFile, type Pushed, type PushOptions, push } from './push.ts';
export { openSparse, type SparseFile } from './ranges.ts';
export { commitOf, openRepository } from './repository.ts';
export { chooseFiles } from './splits.ts';
export { fetchAddress } from './web.ts';
