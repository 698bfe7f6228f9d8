//! The one integration binary: a module per file of this folder.
mod walls;
