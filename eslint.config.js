import { builtinModules } from 'node:module'
import js from '@eslint/js'
import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

const handedIn =
  'Clock and randomness are handed in: src/contracts/clock.ts, src/contracts/random.ts.'
const edgesOnly = 'Only src/adapters may touch the platform, so that the core runs anywhere.'
const global = (name, message) => ({ name, message })

const clockAndDice = [
  ...['setTimeout', 'setInterval', 'setImmediate', 'Date', 'performance', 'crypto'].map((name) =>
    global(name, handedIn),
  ),
  ...['clearTimeout', 'clearInterval', 'clearImmediate'].map((name) => global(name, handedIn)),
]
const platform = ['process', 'Buffer', 'require'].map((name) => global(name, edgesOnly))

export default defineConfig(
  { ignores: ['dist/', 'bench/dist/', 'coverage/'] },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { requireDefaultForNonUnion: true, considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      // An abort reason is `any`, and is thrown as it came.
      '@typescript-eslint/only-throw-error': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      // `async` without `await` turns a throw into a rejection, which is what a contract asks for.
      '@typescript-eslint/require-await': 'off',
      // A handler may return bytes, or nothing at all.
      '@typescript-eslint/no-invalid-void-type': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-console': ['error', { allow: ['error'] }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Exports have names.' },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/adapters/**', 'src/testing/**'],
    rules: {
      'no-restricted-globals': ['error', ...clockAndDice, ...platform],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: handedIn },
        { object: 'AbortSignal', property: 'timeout', message: handedIn },
        ...clockAndDice.map(({ name, message }) => ({
          object: 'globalThis',
          property: name,
          message,
        })),
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: builtinModules
            .filter((name) => name !== 'events')
            .map((name) => ({ name, message: edgesOnly })),
          patterns: [{ group: ['node:*'], message: edgesOnly }],
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'examples/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      // A test may look at a method without calling it.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.{js,cjs,mjs}'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: Object.fromEntries(
        ['console', 'exports', 'module', 'process', 'require', 'setTimeout', 'URL'].map((name) => [
          name,
          'readonly',
        ]),
      ),
    },
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
)
