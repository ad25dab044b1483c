// Values of 6 to 24 bytes that people use as stand-ins and that stand in ordinary output too. Lower case.
const WORDS = `
123456 1234567 12345678 123456789 1234567890 0123456789 654321 87654321 abc123 abcdef abcdefgh 123123 112233 121212
123qwe qwe123 1q2w3e 1q2w3e4r 1qaz2wsx qwerty qwerty123 qwertyuiop asdfgh asdfghjkl zxcvbn zxcvbnm
access account active address admin1 admin123 administrator allowed anonymous api-key apikey api_key application
authorization authorized_user available backup basic_auth bearer bucket cancel certificate changeit changeme change-me
change_me client client_id client_secret closed cluster command complete config configuration connection container
content content-type cookie create created credential credentials current database debug_mode decrypt default delete
deleted denied deploy dev-secret develop developer development disabled docker domain download dummy_value dummypassword
enabled encrypt environment example example.com expired export external failed failure filename foobar foobarbaz format
function github gitlab google guest1 header hidden hello123 hello-world helloworld hostname http:// https:// identity
iloveyou image/png import inactive index.html information insecure install integer internal invalid javascript json-rpc
keyring kubernetes letmein library license localhost localhost:3000 localhost:8080 location logged_in login123 lorem
ipsum machine manager master master-key memory message method missing mongodb monday monitor network nobody normal
notset nothing number object offline online openai optional option options owner1 package parameter parent passphrase
passw0rd password password1 password12 password123 password! pending placeholder please postgres postgresql primary
private private-key private_key process production profile project protected provider public public-key public_key
python random readonly read-only read-write readme region release remote replace-me replace_me replaceme repository
request required resource response result return running sample sandbox schema script search secondary secret secret!
secret1 secret123 secret-key secret_key secretkey secrets security select sensitive server service service_account
session session_id settings shared simple single source staging standard status stderr stdin stdout stopped storage
string success supersecret support system target temporary test-key test-secret test_key test_secret test-token test1234
test123 testing testpassword testtest testuser text/html text/plain thread timeout token1 trustno1 tuesday unauthorized
undefined unknown update updated upload user-agent user123 username usr/bin utf-8-sig utf8mb4 vagrant variable verify
version warning webhook website welcome welcome1 workspace your-api-key your-key-here your_api_key your_key_here
your-password your_password your-secret your_secret your-token your_token yourpassword
`;

/** Words that a secret's value may be and that are never masked. */
export const COMMON_WORDS: ReadonlySet<string> = new Set(WORDS.trim().split(/\s+/));
