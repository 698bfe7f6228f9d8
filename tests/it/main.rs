//! The one integration binary: a module per file of this folder.
mod environment;
mod walls;
