/** ISO/IEC 7812-1 annex B: the check digit of payment cards. */
export const isLuhn = (digits: string): boolean => {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
};

/** ISO 13616-1: the check digits of an IBAN, without spaces and in capitals. */
export const isIban = (iban: string): boolean => {
  let rest = 0;
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(char, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
};

const RRN_WEIGHTS = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];

/** The check digit of a Korean resident registration number of 13 digits. Numbers since October 2020 have none. */
export const isRrnCheckDigit = (digits: string): boolean => {
  const sum = RRN_WEIGHTS.reduce((all, weight, i) => all + weight * Number(digits[i]), 0);
  return (11 - (sum % 11)) % 10 === Number(digits[12]);
};

/** The first digits and the lengths of the cards of the large networks. */
const CARDS: readonly { readonly prefix: RegExp; readonly lengths: readonly number[] }[] = [
  { prefix: /^4/, lengths: [19, 16, 13] },
  // Mastercard: 51 to 55, and since 2016 2221 to 2720.
  { prefix: /^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, lengths: [16] },
  { prefix: /^3[47]/, lengths: [15] },
  { prefix: /^(?:6011|64[4-9]|65)/, lengths: [19, 16] },
  { prefix: /^35(?:2[89]|[3-8])/, lengths: [16] },
  { prefix: /^3(?:0[0-5]|[68])/, lengths: [14] },
  { prefix: /^62/, lengths: [19, 16] },
];

/** How many of the digits are the number of a card; 0 if none. */
export const cardLength = (digits: string): number => {
  const lengths = CARDS.filter(({ prefix }) => prefix.test(digits)).flatMap((card) => card.lengths);
  return lengths.find((length) => length <= digits.length && isLuhn(digits.slice(0, length))) ?? 0;
};
