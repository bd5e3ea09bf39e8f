//! Our errors as JavaScript sees them: thrown with their `code`.

use crate::error::Error;

/// An error on its way to JavaScript; its status becomes `err.code`.
pub type Thrown = napi::Error<&'static str>;

impl From<Error> for Thrown {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.message().to_owned())
    }
}
