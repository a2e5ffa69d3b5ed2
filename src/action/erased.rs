//! The erased form of an action: states and targets as JSON values, so that actions of all types stand in one list.

use std::{future::Future, marker::PhantomData, pin::Pin};

use jiff::Timestamp;
use schemars::generate::SchemaSettings;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    action::{Action, Example},
    client::{ReadError, Reader},
    model::{Call, Difference, Found, Irreversible, Meta, Seen, Target, Verdict},
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A value that does not have the shape its action gave it: an edited file, or a plan of another version.
#[derive(Debug, thiserror::Error)]
#[error("read the {what} of action {action}")]
pub struct ContractError {
    action: &'static str,
    what: &'static str,
    source: serde_json::Error,
}

/// What a read saw, erased.
#[derive(Debug)]
pub struct ErasedSeen {
    /// The slice that the action owns.
    pub state: Value,
    /// Where the object lives now, if under another id.
    pub moved_to: Option<Target>,
    /// What to know.
    pub caveats: Vec<crate::model::Caveat>,
}

/// Why an erased read failed.
#[derive(Debug, thiserror::Error)]
pub enum LensError {
    /// The tenant.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Our own data.
    #[error(transparent)]
    Contract(#[from] ContractError),
}

/// An [`Action`] whose types are gone. All methods do what the trait's do.
pub trait DynAction: Send + Sync {
    /// What the action says about itself.
    fn meta(&self) -> &'static Meta;
    /// JSON Schema of its input.
    fn input_schema(&self) -> Value;
    /// Snippets.
    fn examples(&self) -> &'static [Example];
    /// Checks an input.
    ///
    /// # Errors
    /// When it does not fit the schema.
    fn check_input(&self, input: &Value) -> Result<(), ContractError>;
    /// Which objects.
    fn resolve<'a>(&'a self, tenant: &'a Reader, input: &'a Value) -> Boxed<'a, Result<Vec<Found<Target>>, LensError>>;
    /// State of one object.
    fn read<'a>(&'a self, tenant: &'a Reader, target: &'a Target) -> Boxed<'a, Result<ErasedSeen, LensError>>;
    /// State wanted.
    ///
    /// # Errors
    /// When a value has not the action's shape.
    fn desired(&self, input: &Value, now: &Value, at: Timestamp) -> Result<Value, ContractError>;
    /// Calls from one state to another.
    ///
    /// # Errors
    /// When a value has not the action's shape.
    fn calls(
        &self,
        target: &Target,
        from: &Value,
        to: &Value,
        input: Option<&Value>,
    ) -> Result<Result<Vec<Call>, Irreversible>, ContractError>;
    /// The difference of two states, for people.
    ///
    /// # Errors
    /// When a value has not the action's shape.
    fn differences(&self, from: &Value, to: &Value) -> Result<Vec<Difference>, ContractError>;
    /// Whether what was seen is what was wanted.
    ///
    /// # Errors
    /// When a value has not the action's shape.
    fn judge(&self, wanted: &Value, seen: &Value) -> Result<Verdict, ContractError>;
    /// Whether the planned state still stands.
    ///
    /// # Errors
    /// When a value has not the action's shape.
    fn same(&self, planned: &Value, seen: &Value) -> Result<bool, ContractError>;
}

/// Gives an action its erased form.
pub(crate) struct Erased<A>(PhantomData<fn() -> A>);

impl<A: Action> Erased<A> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }

    fn parse<T: DeserializeOwned>(what: &'static str, value: &Value) -> Result<T, ContractError> {
        T::deserialize(value).map_err(|source| ContractError { action: A::META.id, what, source })
    }

    fn value<T: Serialize>(what: &'static str, it: &T) -> Result<Value, ContractError> {
        serde_json::to_value(it).map_err(|source| ContractError { action: A::META.id, what, source })
    }

    fn target(it: &A::Target) -> Result<Target, ContractError> {
        let data = Self::value("target", it)?;
        Ok(Target { data, ..A::describe(it) })
    }

    fn found(it: Found<A::Target>) -> Result<Found<Target>, ContractError> {
        let Found { target, certain, note, caveats } = it;
        Ok(Found { target: Self::target(&target)?, certain, note, caveats })
    }
}

impl<A: Action> DynAction for Erased<A> {
    fn meta(&self) -> &'static Meta {
        const { &A::META }
    }

    fn input_schema(&self) -> Value {
        let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<A::Input>().to_value()
    }

    fn examples(&self) -> &'static [Example] {
        A::examples()
    }

    fn check_input(&self, input: &Value) -> Result<(), ContractError> {
        Self::parse::<A::Input>("input", input).map(drop)
    }

    fn resolve<'a>(&'a self, tenant: &'a Reader, input: &'a Value) -> Boxed<'a, Result<Vec<Found<Target>>, LensError>> {
        Box::pin(async move {
            let input: A::Input = Self::parse("input", input)?;
            let found = A::resolve(tenant, &input).await?;
            Ok(found.into_iter().map(Self::found).collect::<Result<_, _>>()?)
        })
    }

    fn read<'a>(&'a self, tenant: &'a Reader, target: &'a Target) -> Boxed<'a, Result<ErasedSeen, LensError>> {
        Box::pin(async move {
            let target: A::Target = Self::parse("target", &target.data)?;
            let Seen { state, moved_to, caveats } = A::read(tenant, &target).await?;
            let moved_to = moved_to.as_ref().map(Self::target).transpose()?;
            Ok(ErasedSeen { state: Self::value("state", &state)?, moved_to, caveats })
        })
    }

    fn desired(&self, input: &Value, now: &Value, at: Timestamp) -> Result<Value, ContractError> {
        let (input, now) = (Self::parse::<A::Input>("input", input)?, Self::parse("state", now)?);
        Self::value("state", &A::desired(&input, &now, at))
    }

    fn calls(
        &self,
        target: &Target,
        from: &Value,
        to: &Value,
        input: Option<&Value>,
    ) -> Result<Result<Vec<Call>, Irreversible>, ContractError> {
        let target: A::Target = Self::parse("target", &target.data)?;
        let (from, to) = (Self::parse("state", from)?, Self::parse("state", to)?);
        let input = input.map(|input| Self::parse::<A::Input>("input", input)).transpose()?;
        Ok(A::calls(&target, &from, &to, input.as_ref()))
    }

    fn differences(&self, from: &Value, to: &Value) -> Result<Vec<Difference>, ContractError> {
        Ok(A::differences(&Self::parse("state", from)?, &Self::parse("state", to)?))
    }

    fn judge(&self, wanted: &Value, seen: &Value) -> Result<Verdict, ContractError> {
        Ok(A::judge(&Self::parse("state", wanted)?, &Self::parse("state", seen)?))
    }

    fn same(&self, planned: &Value, seen: &Value) -> Result<bool, ContractError> {
        Ok(A::same(&Self::parse("state", planned)?, &Self::parse("state", seen)?))
    }
}
