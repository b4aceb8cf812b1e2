/** Where downloads and tokenised texts are kept unless `data.cache` says otherwise. */
export const defaultCache = '.taper/data';
