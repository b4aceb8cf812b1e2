export { type DownloadOptions, type DownloadProgress, type Way, whole } from './download.ts';
export { fetchModel } from './model.ts';
export { type HubName, isAddress, isCommit, isHubName, parseHubName } from './names.ts';
export { type LocalFile, type Pushed, type PushOptions, push } from './push.ts';
export { openSparse, type SparseFile } from './ranges.ts';
export { commitOf, type HubOptions, openRepository } from './repository.ts';
export { chooseFiles } from './splits.ts';
export { fetchAddress } from './web.ts';
