/** The message if the packed client is asked for something that only a checkout can do. */
export const needsCheckout = (name: string): string =>
  `\`ocrlty ${name}\` needs a checkout: clone the repository that this package was made of, and run npx ocrlty ${name} in it`;
