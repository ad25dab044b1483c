// What is here belongs to the helper of the backup.
export {};
