"""A small shop of mapped classes, imported by the tests under the name that a project file would give."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, WriteOnlyMapped, deferred, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    number: Mapped[int] = mapped_column("id", primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(50))
    biography: Mapped[str | None] = deferred(mapped_column(Text))
    orders: Mapped[list[Order]] = relationship(back_populates="customer", order_by="Order.id")
    history: WriteOnlyMapped[Order] = relationship(viewonly=True)


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer] = relationship(back_populates="orders")
    lines: Mapped[list[Line]] = relationship(order_by="Line.position")


class Line(Base):
    __tablename__ = "line"
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    product: Mapped[str] = mapped_column(String(50))


class Animal(Base):
    __tablename__ = "animal"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(10))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012


class Dog(Animal):
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012


class Cow(Animal):
    __tablename__ = "cow"
    id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
    litres: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "cow"}  # noqa: RUF012


class NotMapped:
    pass
