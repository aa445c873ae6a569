/** What may be asked of a conversion to experts, in a directive of the language or on the command line: one table for both. */

/** A setting as it was written: `16`, `one`, `"a.txt"`, `balanced_kmeans(of: keys)`. */
export type Written =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'text'; readonly value: string }
  /** A word, perhaps with arguments; `args` are by name, a first one without a name is `''`. */
  | { readonly kind: 'word'; readonly name: string; readonly args: Readonly<Record<string, Written>> };

/** How neurons are grouped. */
export type Group =
  /** k-means with experts of one size, of L2-normalised keys, or of the neurons' activations over the calibration tokens. */
  | { readonly kind: 'balanced_kmeans'; readonly of: 'keys' | 'activations'; readonly restarts: number }
  /** Neurons that fire together stay together (MoEfication). */
  | { readonly kind: 'coactivation' }
  /** CMoE: the most active neurons are shared, the others clustered by the tokens on which they are among the most active. */
  | { readonly kind: 'carved' }
  /** Neurons as they lie: a control. */
  | { readonly kind: 'contiguous' }
  /** A control. */
  | { readonly kind: 'random' }
  /** As a file of an earlier conversion has it, with its router and its repair. */
  | { readonly kind: 'stored'; readonly file: string };

/** How experts are scored. */
export type Score =
  | { readonly kind: 'mean_key' }
  | { readonly kind: 'representative' }
  /** Ridge regression to each expert's output mass, from [x, 1] and `features` random features. */
  | { readonly kind: 'fitted'; readonly features: number; readonly penalty: number }
  /** Logistic regression to the k experts whose absence costs most, from the same features; mistakes weigh what they cost. */
  | { readonly kind: 'decisive'; readonly features: number; readonly penalty: number }
  /** The true mass: a control. */
  | { readonly kind: 'oracle' }
  /** A control. */
  | { readonly kind: 'random' };

/** What stands in for experts that are not picked. */
export type RepairKind =
  | { readonly kind: 'none' }
  /** The expert's mean output. */
  | { readonly kind: 'means' }
  /** Its mean output over the tokens that do not pick it. */
  | { readonly kind: 'dropped_means' }
  /** A linear map of x through `rank` directions that all experts share. */
  | { readonly kind: 'low_rank'; readonly rank: number };

/** What varies in how many experts are picked. `share` is of the neurons of a feed-forward, shared ones counted. */
export type Varying =
  /** Layers differ: each picks as many as its errors ask for, and the mean share over them is at most this one. */
  | { readonly kind: 'budget'; readonly share: number }
  /** Tokens differ: those scores count that are above what makes this the mean share on the calibration tokens, and no more than `most` of them. */
  | { readonly kind: 'threshold'; readonly share: number; readonly most: number };

/** Everything that a conversion depends on beside the weights and the calibration tokens. */
export interface EmergentSettings {
  /** Experts of each feed-forward, shared ones counted. */
  readonly experts: number;
  /** Of these, how many always run. */
  readonly shared: number;
  /** Routed experts that a token picks; where that varies, about as many in the mean. */
  readonly picks: number;
  readonly varying?: Varying;
  readonly group: Group;
  readonly score: Score;
  readonly repair: RepairKind;
  readonly seed: number;
  /** Whether neurons that do not divide are filled up with zeros; refused otherwise. */
  readonly pad: boolean;
  /** Whether a shared block may be converted in some of its places only. */
  readonly untie: boolean;
  /** Whether a layer is calibrated on the outputs of the converted layers before it. */
  readonly inOrder: boolean;
  /** The file of calibration text, and how many tokens of it. */
  readonly text?: string;
  readonly tokens: number;
}
