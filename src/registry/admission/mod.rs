//! Which images may come into a cluster: the rules of both generations of
//! Trow, and the review by which a cluster asks.

mod image;
mod prefix;
mod review;
mod rules;

pub use image::ImageName;
pub use review::{Review, ReviewError, used_images};
pub use rules::{Judgement, LocalRules, PrefixRules, Rules};
