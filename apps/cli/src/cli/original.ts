// In a file of the program of its own: one command reads the database of the original, and once.
export { asideOf, isAside, openOriginal, putAside, removeCopies } from "@lango/compat";
