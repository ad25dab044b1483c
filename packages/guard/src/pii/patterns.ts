import { cardLength, isIban, isRrnCheckDigit } from "./checksums.ts";

export type PiiCategory = "contact" | "identity" | "financial" | "network" | "custom" | "detected";

/** The names of the patterns that are built in. */
export type PiiName =
  | "email"
  | "us_phone"
  | "kr_mobile"
  | "kr_landline"
  | "intl_phone"
  | "kr_rrn"
  | "us_ssn"
  | "kr_driver"
  | "passport"
  | "credit_card"
  | "kr_bank_account"
  | "iban"
  | "ipv4";

export interface PiiPattern {
  readonly category: PiiCategory;
  readonly isOn: boolean;
  /** Global, and linear: every repetition is bounded, and none is within another that may take the same text. */
  readonly regex: RegExp;
  /** How much of a match counts; 0 for nothing. Absent: all of it. */
  readonly accept?: (match: string) => number;
}

const digitsOf = (text: string): string => text.replace(/\D/g, "");
const wholeIf =
  (test: (match: string) => boolean) =>
  (match: string): number =>
    test(match) ? match.length : 0;

/** The length of the shortest beginning of a text with so many characters that are no separators. */
const lengthWith = (text: string, count: number): number => {
  let seen = 0;
  for (let at = 0; at < text.length; at++) {
    // No expression: a hostile text asks this a million times.
    if (text[at] !== " " && text[at] !== "-") seen++;
    if (seen === count) return at + 1;
  }
  return 0;
};

const acceptCard = (match: string): number => {
  const length = lengthWith(match, cardLength(digitsOf(match)));
  // A number that goes on is another number.
  return /\d/.test(match[length] ?? "") ? 0 : length;
};

const IBAN_LENGTHS = { least: 15, most: 34 } as const;

/** What follows an IBAN may look like a part of it. */
const acceptIban = (match: string): number => {
  const text = match.replaceAll(" ", "");
  for (
    let length = Math.min(text.length, IBAN_LENGTHS.most);
    length >= IBAN_LENGTHS.least;
    length--
  ) {
    const end = lengthWith(match, length);
    if (!/[A-Z0-9]/.test(match[end] ?? "") && isIban(text.slice(0, length))) return end;
  }
  return 0;
};

const isRrn = (match: string): boolean => {
  const digits = digitsOf(match);
  const month = Number(digits.slice(2, 4));
  const day = Number(digits.slice(4, 6));
  const isDate = month >= 1 && month <= 12 && day >= 1 && day <= 31;
  // Thirteen digits in a row are often a time in milliseconds: then the check digit decides.
  return isDate && (match.includes("-") || isRrnCheckDigit(digits));
};

/** Never assigned: areas 000, 666 and 900 to 999, group 00, serial 0000. */
const isSsn = (match: string): boolean => !/^(?:000|666|9)|-00-|-0000$/.test(match);

/** Every pattern that is built in; none begins or ends inside a number or word. */
export const PII_PATTERNS: Readonly<Record<PiiName, PiiPattern>> = {
  email: {
    category: "contact",
    isOn: true,
    regex: /(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])/g,
  },
  us_phone: {
    category: "contact",
    isOn: true,
    regex: /(?<![\w-])(?:\+?1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])/g,
  },
  kr_mobile: {
    category: "contact",
    isOn: true,
    regex: /(?<![\w-])01[016789][-. ]?\d{3,4}[-. ]?\d{4}(?![\w-])/g,
  },
  kr_landline: {
    category: "contact",
    isOn: true,
    regex: /(?<![\w-])0(?:2|[3-6][1-5])[-. ]?\d{3,4}[-. ]?\d{4}(?![\w-])/g,
  },
  intl_phone: {
    category: "contact",
    isOn: false,
    regex: /(?<![\w+-])\+\d{1,3}[-. ]?\d{1,4}[-. ]?\d{3,4}[-. ]?\d{3,4}(?![\w-])/g,
  },
  kr_rrn: {
    category: "identity",
    isOn: true,
    regex: /(?<![\w-])\d{6}-?[1-8]\d{6}(?![\w-])/g,
    accept: wholeIf(isRrn),
  },
  us_ssn: {
    category: "identity",
    isOn: true,
    regex: /(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])/g,
    accept: wholeIf(isSsn),
  },
  kr_driver: {
    category: "identity",
    isOn: false,
    regex: /(?<![\w-])\d{2}-\d{2}-\d{6}-\d{2}(?![\w-])/g,
  },
  passport: { category: "identity", isOn: false, regex: /(?<!\w)[A-Z]{1,2}\d{7,8}(?!\w)/g },
  credit_card: {
    category: "financial",
    isOn: true,
    regex: /(?<!\w)\d(?:[ -]?\d){12,18}/g,
    accept: acceptCard,
  },
  kr_bank_account: {
    category: "financial",
    isOn: false,
    regex: /(?<![\w-])\d{3,4}-\d{2,6}-\d{2,6}(?![\w-])/g,
    accept: wholeIf((match) => digitsOf(match).length >= 10),
  },
  iban: {
    category: "financial",
    isOn: false,
    regex: /(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,40}/g,
    accept: acceptIban,
  },
  ipv4: {
    category: "network",
    isOn: false,
    regex: /(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)/g,
    accept: wholeIf((match) => match.split(".").every((part) => Number(part) <= 255)),
  },
};
