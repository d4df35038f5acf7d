// Package tree learns decision trees and random forests for classification from binned columns and integer counts.
//
// Every column is binned once: a number by cut points between its distinct values (all of them when they are few, at
// quantiles otherwise), a category by the rank of its level after ordering the levels by their smoothed target share on
// the training rows (Fisher: On Grouping for Maximum Homogeneity, 1958; for more than two classes along the first
// principal axis of the class shares, Coppersmith, Hong, Hosking: Partitioning Nominal Attributes in Decision Trees,
// 1999). Missing values have a bin of their own, and every split learns on which side it belongs; a value that the split
// never met, such as an unseen level, goes with the missing ones, or with the heavier side when none were met.
//
// A split maximises (sum l_k^2)/n_l + (sum r_k^2)/n_r over the class counts l, r of its sides, which is minimal Gini
// impurity (Breiman et al.: Classification and Regression Trees, 1984); or it gains most entropy; or, of numbers, it leaves
// the least squared error. Counts are integers, numbers are rounded to integers, and every sum is exact, so the order of
// rows and goroutines cannot change a bit. Forests draw bootstrap samples as counts and features at every split (Breiman:
// Random Forests, 2001), extra trees draw the cuts too, from a generator keyed by seed and tree number.
//
// A leaf's class shares are integers in units of 2^-31, its means integers in units of a power of two, and a forest adds
// them as integers: predictions are the same in any order. Fitting costs O(rows x features x depth) per tree after binning,
// prediction O(rows x trees x depth). Results are equal for any number of cores and any architecture.
//
// What makes growth fast: a row is one word that a histogram adds; nodes of up to 32k rows work on a copy of their codes
// that stays in the cache; the best cut is kept without branches; nodes of a dozen rows need no histogram; and rows of
// children that are leaves are never moved.
package tree
