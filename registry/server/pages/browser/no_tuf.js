// Stands for the TUF client, which the page never asks: its root of trust is bundled, or a file of the reader's.
export const TUFClient = undefined;
